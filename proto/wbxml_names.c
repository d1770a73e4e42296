/* wbxml_names.c - the code pages (codepages.def) as tables of names. Pure, any
 * thread; constant data only. */
#include "proto/wbxml.h"

static const char *const page_names[WBXML_PAGES] = {
#define PAGE(number, prefix, name) [number] = name,
#define TAG(prefix, token, id, name)
#include "proto/codepages.def"
#undef PAGE
#undef TAG
};

static const char *const tag_names[WBXML_PAGES][64] = {
#define PAGE(number, prefix, name)
#define TAG(prefix, token, id, name) [PAGE_##prefix][token] = name,
#include "proto/codepages.def"
#undef PAGE
#undef TAG
};

const char *wbxml_page_name(uint8_t page)
{
	return page < WBXML_PAGES ? page_names[page] : NULL;
}

const char *wbxml_tag_name(uint16_t tag)
{
	unsigned page = tag >> 8, token = tag & 0xff;

	return page < WBXML_PAGES && token < 64 ? tag_names[page][token] : NULL;
}

uint16_t wbxml_tag_find(struct slice page, struct slice name)
{
	for (unsigned p = 0; p < WBXML_PAGES; p++) {
		if (!slice_eq(slice_str(page_names[p]), page))
			continue;
		for (unsigned t = 0; t < 64; t++)
			if (tag_names[p][t] && slice_eq(slice_str(tag_names[p][t]), name))
				return (uint16_t)(p << 8 | t);
	}
	return TAG_NONE;
}

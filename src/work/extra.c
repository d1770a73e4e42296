/* extra.c - flag details and last verbs of a folder's mails. Pure. */
#include "work/extra.h"

#include "backend/backend.h"

enum { FORMAT = 1 };
enum { TAG_MAIL = 1, TAG_IDENTITY = 2 };
enum {
	T_NUM = 1, T_VERB, T_VERB_MS, T_FLAG, T_SUBJECT, T_STATUS, T_TYPE, T_DATE_COMPLETED, T_COMPLETE_TIME, T_START,
	T_DUE, T_UTC_START, T_UTC_DUE, T_REMINDER_SET, T_REMINDER_TIME, T_ORDINAL, T_SUB_ORDINAL,
};

/* The members of a flag with their record tags: one row each way. */
static const struct flag_row {
	uint8_t tag;
	enum { ROW_STR, ROW_NUM, ROW_DATE } kind;
	size_t off;
} flag_rows[] = {
	{ T_SUBJECT,        ROW_STR,  offsetof(struct email_flag, subject) },
	{ T_STATUS,         ROW_NUM,  offsetof(struct email_flag, status) },
	{ T_TYPE,           ROW_STR,  offsetof(struct email_flag, type) },
	{ T_DATE_COMPLETED, ROW_DATE, offsetof(struct email_flag, date_completed) },
	{ T_COMPLETE_TIME,  ROW_DATE, offsetof(struct email_flag, complete_time) },
	{ T_START,          ROW_DATE, offsetof(struct email_flag, start) },
	{ T_DUE,            ROW_DATE, offsetof(struct email_flag, due) },
	{ T_UTC_START,      ROW_DATE, offsetof(struct email_flag, utc_start) },
	{ T_UTC_DUE,        ROW_DATE, offsetof(struct email_flag, utc_due) },
	{ T_REMINDER_SET,   ROW_NUM,  offsetof(struct email_flag, reminder_set) },
	{ T_REMINDER_TIME,  ROW_DATE, offsetof(struct email_flag, reminder_time) },
	{ T_ORDINAL,        ROW_DATE, offsetof(struct email_flag, ordinal) },
	{ T_SUB_ORDINAL,    ROW_STR,  offsetof(struct email_flag, sub_ordinal) },
};
enum { FLAG_ROWS = sizeof(flag_rows) / sizeof(*flag_rows) };

void extras_init(struct extras *x, struct arena *a)
{
	*x = (struct extras){ .a = a };
}

static size_t lower(const struct extras *x, uint64_t num)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->v[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct extra *extras_find(const struct extras *x, uint64_t num)
{
	size_t i = lower(x, num);

	return i < x->n && x->v[i].num == num ? &x->v[i] : NULL;
}

struct extra *extras_get(struct extras *x, uint64_t num)
{
	size_t i = lower(x, num);

	if (i < x->n && x->v[i].num == num)
		return &x->v[i];
	x->v = arena_grow(x->a, x->v, x->n, &x->cap, sizeof(*x->v));
	memmove(x->v + i + 1, x->v + i, (x->n - i) * sizeof(*x->v));
	x->v[i] = (struct extra){ .num = num };
	x->n++;
	if (x->n > EXTRAS_MAX && i > 0) {
		memmove(x->v, x->v + 1, --x->n * sizeof(*x->v));
		i--;
	}
	return &x->v[i];
}

void extras_remove(struct extras *x, uint64_t num)
{
	size_t i = lower(x, num);

	if (i == x->n || x->v[i].num != num)
		return;
	memmove(x->v + i, x->v + i + 1, (x->n - i - 1) * sizeof(*x->v));
	x->n--;
	x->touched = true;
}

bool extra_flag_merge(struct email_flag *into, const struct email_flag *from)
{
	bool any = false;

	for (size_t i = 0; i < FLAG_ROWS; i++) {
		const void *m = (const char *)from + flag_rows[i].off;
		void *to = (char *)into + flag_rows[i].off;

		if (flag_rows[i].kind == ROW_STR && ((const struct slice *)m)->ptr)
			*(struct slice *)to = *(const struct slice *)m;
		else if (flag_rows[i].kind == ROW_NUM && ((const struct num *)m)->has)
			*(struct num *)to = *(const struct num *)m;
		else if (flag_rows[i].kind == ROW_DATE && ((const struct date *)m)->has)
			*(struct date *)to = *(const struct date *)m;
		else
			continue;
		any = true;
	}
	return any;
}

/* value + 1, so that a given zero is told from an absent member */
static void pack_flag(struct record_writer *w, const struct email_flag *f)
{
	for (size_t i = 0; i < FLAG_ROWS; i++) {
		const void *m = (const char *)f + flag_rows[i].off;
		const struct num *n = m;
		const struct date *d = m;
		const struct slice *s = m;

		if (flag_rows[i].kind == ROW_STR && s->ptr)
			record_item(w, flag_rows[i].tag, *s);
		else if (flag_rows[i].kind == ROW_NUM && n->has)
			record_int(w, flag_rows[i].tag, (uint64_t)n->v + 1);
		else if (flag_rows[i].kind == ROW_DATE && d->has)
			record_int(w, flag_rows[i].tag, (uint64_t)d->ms + 1);
	}
}

static struct slice packed_flag(struct arena *a, const struct email_flag *f)
{
	struct record_writer w;

	record_begin(&w, a, 0);
	pack_flag(&w, f);
	return record_end(&w);
}

struct slice extras_pack(const struct extras *x)
{
	struct record_writer w, m;

	record_begin(&w, x->a, FORMAT);
	record_int(&w, TAG_IDENTITY, x->identity);
	for (size_t i = 0; i < x->n; i++) {
		const struct extra *it = &x->v[i];

		if (!it->flag && !it->last_verb)
			continue;
		record_begin(&m, x->a, 0);
		record_int(&m, T_NUM, it->num);
		record_int(&m, T_VERB, it->last_verb);
		record_int(&m, T_VERB_MS, (uint64_t)it->verb_ms);
		if (it->flag)
			record_item(&m, T_FLAG, packed_flag(x->a, it->flag));
		record_item(&w, TAG_MAIL, record_end(&m));
	}
	return record_end(&w);
}

static int unpack_flag(struct extra *it, struct arena *a, struct slice run, struct err *e)
{
	struct record_field f;
	int rc;

	it->flag = ARENA_NEW(a, struct email_flag);
	while ((rc = record_next(&run, &f, e)) > 0)
		for (size_t i = 0; i < FLAG_ROWS; i++) {
			void *m = (char *)it->flag + flag_rows[i].off;

			if (flag_rows[i].tag != f.tag || (flag_rows[i].kind == ROW_STR) != f.is_bytes)
				continue;
			if (flag_rows[i].kind == ROW_STR)
				*(struct slice *)m = arena_slice(a, f.bytes);
			else if (flag_rows[i].kind == ROW_NUM)
				*(struct num *)m = NUM((int64_t)f.v - 1);
			else
				*(struct date *)m = DATE_MS((int64_t)f.v - 1);
		}
	return rc;
}

static int unpack_mail(struct extras *x, struct slice run, struct err *e)
{
	struct extra it = { 0 };
	struct record_field f;
	int rc;

	while ((rc = record_next(&run, &f, e)) > 0) {
		if (f.tag == T_NUM)
			it.num = f.v;
		else if (f.tag == T_VERB)
			it.last_verb = (uint8_t)f.v;
		else if (f.tag == T_VERB_MS)
			it.verb_ms = (int64_t)f.v;
		else if (f.tag == T_FLAG && f.is_bytes && unpack_flag(&it, x->a, f.bytes, e) < 0)
			return -1;
	}
	if (rc == 0)
		*extras_get(x, it.num) = it;
	return rc;
}

int extras_unpack(struct extras *x, struct arena *a, struct slice record, struct err *e)
{
	struct slice rest;
	struct record_field f;
	int rc;

	extras_init(x, a);
	if (record.len == 0)
		return 0;
	if (record_open(&rest, record, FORMAT, e) < 0)
		return -1;
	while ((rc = record_next(&rest, &f, e)) > 0) {
		if (f.tag == TAG_IDENTITY)
			x->identity = f.v;
		else if (f.tag == TAG_MAIL && f.is_bytes && unpack_mail(x, f.bytes, e) < 0)
			return -1;
	}
	return rc;
}

bool extras_belong(struct extras *x, uint64_t identity)
{
	bool others = x->identity && identity && x->identity != identity && x->n;

	if (others) {
		x->n = 0;
		x->touched = true;
	}
	if (identity)
		x->identity = identity;
	return others;
}

uint32_t item_rev(uint32_t be_rev, const struct extra *x)
{
	uint32_t kw = be_rev >> 8, hash = 0;

	kw = kw ? ((kw ^ kw >> 12) & 0xfff ? (kw ^ kw >> 12) & 0xfff : 1) : 0;
	if (x && (x->flag || x->last_verb)) {
		char verb[32] = { (char)x->last_verb };
		struct arena *a = arena_new();
		struct slice parts[2] = { x->flag ? packed_flag(a, x->flag) : S_NONE, slice(verb, 1) };

		hash = (uint32_t)(slice_hash(parts[0]) * 31 + slice_hash(parts[1])) & 0xfff;
		hash = hash ? hash : 1;
		arena_free(&a);
	}
	return (be_rev & 0xff) | kw << 8 | hash << 20;
}

bool item_rev_differs(uint32_t from, uint32_t to, int version)
{
	uint32_t told = MAIL_SEEN;

	if (from == ITEM_REV_UNCERTAIN)
		return true;
	if (version >= EAS_120)
		told |= MAIL_FLAGGED | 0xfffu << 20;
	if (version >= EAS_140)
		told |= MAIL_ANSWERED | MAIL_FORWARDED | 0xfffu << 8;
	return ((from ^ to) & told) != 0;
}

/* config_toml.cc - the one C++ file: walks a document of libtomlplusplus and
 * calls back for each value. Any thread. The library caps nesting itself; the
 * walk goes TOML_PATH_MAX tables deep and names deeper ones as TOML_OTHER. */
#define TOML_EXCEPTIONS 0
#define TOML_UNRELEASED_FEATURES 0
#include <toml++/toml.h>

#include <cstdio>
#include <string>
#include <vector>

#include "config_toml.h"

namespace {

struct walk {
	toml_value v;
	toml_value_fn *fn;
	void *arg;
};

toml_text text_of(std::string_view s)
{
	return toml_text{ s.data(), s.size() };
}

void place(const toml::source_region &r, unsigned *line, unsigned *column)
{
	*line = r.begin.line;
	*column = r.begin.column;
}

void give_list(walk &w, const toml::array &list)
{
	std::vector<toml_text> items;

	w.v.kind = TOML_LIST;
	for (const toml::node &n : list) {
		const auto *s = n.as_string();

		if (!s) {
			w.v.kind = TOML_OTHER;
			place(n.source(), &w.v.line, &w.v.column);
			break;
		}
		items.push_back(text_of(s->get()));
	}
	w.v.items = items.data();
	w.v.n_items = items.size();
	w.fn(w.arg, &w.v);
}

void give(walk &w, const toml::node &n)
{
	std::string number;

	w.v.items = nullptr;
	w.v.n_items = 0;
	w.v.text = toml_text{ "", 0 };
	place(n.source(), &w.v.line, &w.v.column);
	if (const auto *s = n.as_string()) {
		w.v.kind = TOML_STRING;
		w.v.text = text_of(s->get());
	} else if (const auto *i = n.as_integer()) {
		w.v.kind = TOML_INTEGER;
		number = std::to_string(i->get());
		w.v.text = text_of(number);
	} else if (const auto *b = n.as_boolean()) {
		w.v.kind = TOML_BOOLEAN;
		w.v.text = text_of(b->get() ? "true" : "false");
	} else if (n.is_floating_point()) {
		w.v.kind = TOML_FLOAT;
	} else if (const auto *a = n.as_array()) {
		give_list(w, *a);
		return;
	} else {
		w.v.kind = TOML_OTHER;
	}
	w.fn(w.arg, &w.v);
}

bool is_rows(const toml::node &n)
{
	return n.is_array() && !n.as_array()->empty() && n.as_array()->is_homogeneous(toml::node_type::table);
}

/* Depth is bounded by TOML_PATH_MAX. */
void walk_table(walk &w, const toml::table &t)
{
	for (auto &&[key, node] : t) {
		size_t at = w.v.n_path++;

		w.v.path[at] = text_of(key.str());
		place(key.source(), &w.v.key_line, &w.v.key_column);
		if (at + 1 < TOML_PATH_MAX && node.is_table()) {
			walk_table(w, *node.as_table());
		} else if (at == 0 && is_rows(node)) {
			w.v.in_rows = 1;
			for (w.v.row = 0; w.v.row < node.as_array()->size(); w.v.row++)
				walk_table(w, *node.as_array()->get_as<toml::table>(w.v.row));
			w.v.in_rows = 0;
			w.v.row = 0;
		} else {
			give(w, node);
		}
		w.v.n_path = at;
	}
}

} // namespace

extern "C" int config_toml_parse(const char *doc, size_t len, toml_value_fn *fn, void *arg, char *message, size_t n,
				 unsigned *line_r, unsigned *column_r)
{
	toml::parse_result r = toml::parse(std::string_view(doc, len));
	walk w = {};

	if (!r) {
		snprintf(message, n, "%.*s", (int)r.error().description().size(), r.error().description().data());
		place(r.error().source(), line_r, column_r);
		return -1;
	}
	w.fn = fn;
	w.arg = arg;
	walk_table(w, r.table());
	return 0;
}

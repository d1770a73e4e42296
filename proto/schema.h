/* schema.h - one table a structure: tag, kind, struct member, versions, bounds.
 * Decoding, encoding, limits, version gating and ghosting derive from it.
 *
 * Values carry their own presence, so that "absent", "empty" and "given" stay
 * apart: a slice with ptr NULL is absent (given but empty: ptr set, len 0), a
 * num/date/data has `.has`, an object is a pointer, a list has n == 0.
 *
 * Decode: driven by WBXML bytes in any split; fills structs in an arena.
 * Children come in any order; a repeated element replaces the first; an empty
 * container is legal. Unknown, misplaced or bad elements are skipped and
 * recorded: in the nearest enclosing struct that carries a field_problem (a
 * Sync command, an item), else in the request's report.
 * Encode: present fields in table order, which is the XSD's order.
 * Any thread, one owner at a time. The structs are the arena's; blobs belong to
 * the report until taken. */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include "proto/wbxml.h"

enum eas_version {
	EAS_ANY = 0, /* not known: every row counts, see decode_report.oldest */
	EAS_10 = 10, EAS_20 = 20, EAS_21 = 21, EAS_25 = 25,
	EAS_120 = 120, EAS_121 = 121, EAS_140 = 140, EAS_141 = 141,
	EAS_160 = 160, EAS_161 = 161,
	EAS_MAX = EAS_161,
}; /* text <-> number: eas_version_parse and eas_version_name in query.h */

/* --- values ------------------------------------------------------------- */

struct num {
	int64_t v;
	bool has;
};
#define NUM(x) ((struct num){ (x), true })
static inline int64_t num_or(struct num n, int64_t otherwise)
{
	return n.has ? n.v : otherwise;
}

struct date {
	int64_t ms; /* Unix time, milliseconds, UTC */
	bool has;
};
#define DATE_MS(unix_ms) ((struct date){ (unix_ms), true })

/* Bytes of any size. Decoded ones stand in `blob` (whole). An encoder takes
 * the first that is set: produce, blob (len bytes from off; len 0: to the
 * end), mem. `opaque`: write as opaque data, not as text. */
struct data {
	bool has, opaque;
	struct slice mem;
	struct blob *blob;
	uint64_t off, len;
	/* Writes chunks with wbxml_text_chunk; 0 or -1. */
	int (*produce)(void *ctx, struct wbxml_writer *w, struct err *e);
	void *ctx;
};
#define DATA(slice_) ((struct data){ .has = true, .mem = (slice_) })

/* A list in the arena: v[0..n). Append with LIST_PUSH. */
#define LIST_OF(T) struct { T *v; size_t n, cap; }
/* Pointer to a new zeroed element. */
#define LIST_PUSH(arena, l) \
	((l)->v = arena_grow((arena), (l)->v, (l)->n, &(l)->cap, sizeof(*(l)->v)), \
	 memset(&(l)->v[(l)->n], 0, sizeof(*(l)->v)), &(l)->v[(l)->n++])

typedef LIST_OF(struct slice) str_list;
typedef LIST_OF(uint16_t) tag_list;

/* Elements named in a container (Supported, Schema). */
struct tag_set {
	bool has; /* the container stood there, maybe empty */
	tag_list tags;
};
bool tag_set_has(const struct tag_set *t, uint16_t tag);

/* --- what was wrong ------------------------------------------------------ */

enum problem_kind {
	PROBLEM_NONE,
	PROBLEM_UNKNOWN,   /* no such element in this protocol */
	PROBLEM_MISPLACED, /* known, but not here */
	PROBLEM_VERSION,   /* not in this protocol version */
	PROBLEM_BAD_VALUE, /* not a number, out of range, not in the list, empty */
	PROBLEM_TOO_LONG,
	PROBLEM_MISSING,   /* a required element is absent */
	PROBLEM_RULE,      /* a rule of the class between several elements */
	PROBLEM_READ_ONLY, /* the client may not write it */
};
const char *problem_name(enum problem_kind k);

/* The first one counts. */
struct field_problem {
	uint8_t kind; /* enum problem_kind */
	uint16_t tag, parent;
};

struct decode_report {
	struct field_problem first; /* outside every struct with a problem of its own */
	uint32_t problems;          /* all, wherever recorded */
	uint8_t oldest;             /* enum eas_version: lowest that allows all elements seen */
	uint16_t root;              /* root tag seen, TAG_NONE when none came */
	bool wrong_root;            /* body of another command */
	LIST_OF(struct blob *) blobs;
};

/* The blob of `d` becomes the caller's (free with blob_free); NULL when none. */
struct blob *decode_take(struct decode_report *r, struct data *d);
/* Frees the blobs nobody took. Call once, before the arena goes. */
void decode_report_deinit(struct decode_report *r);

/* --- tables -------------------------------------------------------------- */

enum field_kind {
	FIELD_STR,   /* struct slice; text (opaque taken as text) */
	FIELD_NUM,   /* struct num; decimal, min..max */
	FIELD_BOOL,  /* struct num; 0 or 1 */
	FIELD_FLAG,  /* struct num; an empty element is 1, else 0 or 1; 1 is written empty */
	FIELD_DATE,  /* struct date; both forms read, the dashed one written */
	FIELD_DATEC, /* struct date; both read, compact 20200101T000000Z written */
	FIELD_OBJ,   /* pointer to a struct of .sub */
	FIELD_INTO,  /* wrapper: its children land in the same struct; struct num says present (written
	              * also when only a child is given) */
	FIELD_LIST,  /* repeated element: LIST_OF(struct of .sub); several tags may feed one list */
	FIELD_STRS,  /* repeated text element: str_list */
	FIELD_TAGS,  /* container whose children are only named: struct tag_set */
	FIELD_DATA,  /* struct data; spills */
	FIELD_BIN,   /* struct slice of raw bytes; opaque on the wire, base64 text also read */
	FIELD_B64,   /* struct slice of raw bytes; base64 text on the wire */
	FIELD_ITEM,  /* struct item *: ApplicationData / Properties (item.h) */
};

enum {
	FIELD_REQUIRED = 1, /* absent in a request: PROBLEM_MISSING */
	FIELD_GHOST = 2,    /* ghostable: see Supported */
	FIELD_CLIENT = 4,   /* the client may write it (class schemas) */
	FIELD_EMPTY = 8,    /* number: empty text is legal and reads as absent */
	FIELD_ALIAS = 16,   /* second name of a member: read, never written */
	FIELD_ONCE = 32,    /* more than one is PROBLEM_RULE; elsewhere the last one counts */
};

struct schema;
struct field {
	uint16_t tag;
	uint8_t kind, flags, first, last; /* versions */
	uint16_t offset;
	uint16_t elem;     /* size of the struct behind an object or in a list: checked against .sub by the tests */
	uint32_t max_len;  /* text and binary: bytes; 0: FIELD_MAX_LEN. FIELD_DATA: 0 = reader's limit only */
	uint32_t max_n;    /* lists; 0: FIELD_MAX_N */
	int64_t min, max;  /* numbers */
	uint32_t legal;    /* bit n: value n is legal (0: no list) */
	const struct schema *sub;
};
enum { FIELD_MAX_LEN = 64 * 1024, FIELD_MAX_N = 10000 };

struct check_ctx {
	struct arena *arena;
	enum eas_version version;
	struct field_problem *problem; /* set through problem_set: the first one stays */
};
void problem_set(struct field_problem *p, enum problem_kind k, uint16_t tag, uint16_t parent);

#define NO_MEMBER 0xffff
struct schema {
	uint16_t tag;         /* element this struct stands for (root tag of a command) */
	uint16_t size;        /* of the struct */
	uint16_t tag_off;     /* uint16_t member that records the element's tag, or NO_MEMBER */
	uint16_t problem_off; /* struct field_problem member, or NO_MEMBER */
	uint16_t order_off;   /* tag_list member that keeps the order of the children, 0: none; on
			       * encoding that order comes first (Settings answers in request order) */
	uint16_t n;
	const struct field *fields;
	/* Rules between members; on close of the element, optional. */
	void (*check)(void *obj, const struct check_ctx *c);
};

/* Compile-time check that a member has the type its kind needs. */
#define FIELD_IS(S_, m_, T_) \
	(0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S_ *)0)->m_), T_) ? 1 : -1]))
#define FIELD_ROW(S_, tag_, m_, kind_, first_, last_, check_, ...) \
	{ .tag = (tag_), .kind = (kind_), .offset = (uint16_t)(offsetof(S_, m_) + (check_)), \
	  .first = (first_), .last = (last_), ##__VA_ARGS__ }

#define F_STR(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_STR, first_, last_, FIELD_IS(S_, m_, struct slice), ##__VA_ARGS__)
/* lo, hi inclusive. */
#define F_NUM(S_, tag_, m_, first_, last_, lo_, hi_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_NUM, first_, last_, FIELD_IS(S_, m_, struct num), \
		  .min = (lo_), .max = (hi_), ##__VA_ARGS__)
#define F_BOOL(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_BOOL, first_, last_, FIELD_IS(S_, m_, struct num), ##__VA_ARGS__)
#define F_FLAG(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_FLAG, first_, last_, FIELD_IS(S_, m_, struct num), ##__VA_ARGS__)
#define F_DATE(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_DATE, first_, last_, FIELD_IS(S_, m_, struct date), ##__VA_ARGS__)
#define F_DATEC(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_DATEC, first_, last_, FIELD_IS(S_, m_, struct date), ##__VA_ARGS__)
#define F_OBJ(S_, tag_, m_, first_, last_, T_, sub_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_OBJ, first_, last_, FIELD_IS(S_, m_, T_ *), .sub = (sub_), \
		  .elem = sizeof(T_), ##__VA_ARGS__)
#define F_INTO(S_, tag_, m_, first_, last_, sub_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_INTO, first_, last_, FIELD_IS(S_, m_, struct num), .sub = (sub_), \
		  .elem = sizeof(S_), ##__VA_ARGS__)
#define F_LIST(S_, tag_, m_, first_, last_, T_, sub_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_LIST, first_, last_, FIELD_IS(S_, m_.v[0], T_), .sub = (sub_), \
		  .elem = sizeof(T_), ##__VA_ARGS__)
#define F_STRS(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_STRS, first_, last_, FIELD_IS(S_, m_, str_list), ##__VA_ARGS__)
#define F_TAGS(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_TAGS, first_, last_, FIELD_IS(S_, m_, struct tag_set), ##__VA_ARGS__)
#define F_DATA(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_DATA, first_, last_, FIELD_IS(S_, m_, struct data), ##__VA_ARGS__)
#define F_BIN(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_BIN, first_, last_, FIELD_IS(S_, m_, struct slice), ##__VA_ARGS__)
#define F_B64(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_B64, first_, last_, FIELD_IS(S_, m_, struct slice), ##__VA_ARGS__)
#define F_ITEM(S_, tag_, m_, first_, last_, ...) \
	FIELD_ROW(S_, tag_, m_, FIELD_ITEM, first_, last_, FIELD_IS(S_, m_, struct item *), ##__VA_ARGS__)


#define SCHEMA_(S_, tag_, fields_, tag_off_, problem_off_, ...) \
	{ .tag = (tag_), .size = sizeof(S_), .fields = (fields_), \
	  .n = sizeof(fields_) / sizeof((fields_)[0]), \
	  .tag_off = (tag_off_), .problem_off = (problem_off_), ##__VA_ARGS__ }
/* Plain; with `struct field_problem problem`; with that and `uint16_t tag`. */
#define SCHEMA(S_, tag_, fields_, ...) SCHEMA_(S_, tag_, fields_, NO_MEMBER, NO_MEMBER, ##__VA_ARGS__)
#define SCHEMA_P(S_, tag_, fields_, ...) \
	SCHEMA_(S_, tag_, fields_, NO_MEMBER, offsetof(S_, problem), ##__VA_ARGS__)
#define SCHEMA_TP(S_, tag_, fields_, ...) \
	SCHEMA_(S_, tag_, fields_, offsetof(S_, tag), offsetof(S_, problem), ##__VA_ARGS__)

/* Is the field given in obj? */
bool field_given(const struct field *f, const void *obj);
/* Ghosting (MS-ASCMD Supported): does a Change that holds `obj` delete this
 * member by leaving it out? Only ghostable ones: without a Supported list each
 * omitted one, with it the listed ones. */
bool field_omitted_deletes(const struct field *f, const void *obj, const struct tag_set *supported);
/* Row of a tag in a version (EAS_ANY: the first); NULL when there is none. */
const struct field *schema_find(const struct schema *s, uint16_t tag, enum eas_version v);

/* --- decode --------------------------------------------------------------- */

enum { DECODE_DEPTH = 16 };

struct decode_frame {
	const struct schema *schema;
	char *obj;
	struct field_problem *problem;
	uint16_t tag, hint;
	bool noise; /* text where none belongs was reported */
};

struct decoder {
	struct wbxml_reader reader;
	struct arena *arena;
	const struct schema *root_schema;
	void *root;
	struct decode_report *report;
	enum eas_version version;
	size_t arena_limit;
	uint64_t string_limit;     /* of text that is no item's data */
	/* Position: frames of known containers, then the scalar being read, then skipped depth. */
	struct decode_frame frame[DECODE_DEPTH];
	uint32_t depth, skip;
	const struct field *field; /* scalar or tag container being read */
	char *field_obj;           /* the struct it belongs to */
	bool too_long, stray;      /* past max_len; a child inside a scalar */
	size_t arena_start;
	char small[64];            /* numbers and dates */
	size_t value_len, value_cap;
	char *value;
};

/* `arena`, `report` (zeroed here) are borrowed and must outlive the structs.
 * `limits` NULL: defaults. string_bytes is for text outside of FIELD_DATA: a mail may
 * come inline as well as opaque, and has opaque_bytes both ways. Where the version is not known decode with EAS_ANY
 * and read report->oldest. */
void decode_begin(struct decoder *d, const struct schema *root, enum eas_version version,
		  struct arena *arena, struct decode_report *report, const struct wbxml_limits *limits);
/* 1 complete, 0 need more, -1 malformed or past a limit (or wrong root:
 * report->wrong_root). On -1 the structs must not be used. */
int decode_feed(struct decoder *d, struct slice bytes, struct err *e);
/* The body ended: the root struct, or NULL with *e when it was not complete. */
void *decode_end(struct decoder *d, struct err *e);
/* All three for a body at hand. */
void *decode_all(struct slice body, const struct schema *root, enum eas_version version,
		 struct arena *arena, struct decode_report *report, struct err *e);

/* --- encode ---------------------------------------------------------------- */

/* <tag> with the present members of obj, in table order, as `version` knows
 * them. Errors stick in the writer. */
void encode_struct(struct wbxml_writer *w, const struct schema *s, const void *obj, enum eas_version version);
/* The members only, into the element that is open. */
void encode_fields(struct wbxml_writer *w, const struct schema *s, const void *obj, enum eas_version version);
/* A whole document into `out`: header, root, end. 0 or -1. */
int encode_document(struct blob *out, const struct schema *s, const void *obj, enum eas_version version,
		    struct err *e);

#endif

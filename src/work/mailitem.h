/* mailitem.h - mails of a backend as items of the Email class: heads in one
 * round trip, the needed bytes of their bodies in one more (two at most where
 * markup swallowed a preview). Never more of a mail than its plan asks for.
 * Worker. Strings are the arena's; body bytes stand in blobs that
 * mailitems_deinit frees: encode before. */
#ifndef WORK_MAILITEM_H
#define WORK_MAILITEM_H

#include "backend/backend.h"
#include "proto/bodypick.h"
#include "proto/email.h"
#include "work/extra.h"

struct mail_ask {
	struct session *session;
	struct slice folder;        /* backend path */
	struct slice folder_id;     /* for file references */
	const struct extras *extras;
	struct body_want body;      /* n_pref 0 with no_body: headers only */
	bool no_body;
	struct body_want part;      /* BodyPart (14.1), n_pref 0: none */
	bool (*poisoned)(void *arg, uint64_t num); /* those get a stand-in; may be NULL */
	void *poisoned_arg;
	uint64_t budget_bytes;      /* encoded bytes of bodies at once; at least one mail is loaded */
	int version;
	struct arena *a;
};

struct mail_loaded {
	uint64_t num;
	uint32_t rev;               /* item_rev of what was loaded */
	bool missing;               /* gone meanwhile: item is NULL */
	struct item *item;
	int64_t date_ms;
};

struct mailitems {
	struct mail_loaded *v;      /* as asked, the first `n` of them */
	size_t n;
	struct blob **blobs;
	size_t n_blobs, cap_blobs;
	struct arena *a;
};

/* Fewer than asked when the budget is full: ask again for the rest. */
enum be_result mailitems_load(const struct mail_ask *k, const uint64_t *nums, size_t n, struct mailitems *m_r,
			      struct err *e);
void mailitems_deinit(struct mailitems *m);

/* What a Change of a known mail tells: only what differs between the two
 * revisions (Read alone, Flag alone, Categories alone). keywords are needed
 * when ITEM_REV_KEYWORDS differ. */
struct item *mailitem_change(struct arena *a, uint32_t from_rev, uint32_t to_rev, const struct extra *x,
			     const struct slice *keywords, size_t n_keywords);
/* email:Flag as told to phones: details kept, else what the flag alone says. */
struct email_flag *mailitem_flag(struct arena *a, unsigned flags, const struct extra *x);

/* FOLDER.NUM.PART: URL-safe, pasted unchanged into GetAttachment. */
struct slice file_reference_make(struct arena *a, struct slice folder_id, uint64_t num, struct slice part);
bool file_reference_parse(struct slice ref, struct slice *folder_id_r, uint64_t *num_r, struct slice *part_r);

#endif

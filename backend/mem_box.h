/* mem_box.h - the data of the memory backend: users, folders, mails. Inside
 * mem*.c only. Everything is called with mem->mu held. */
#ifndef BACKEND_MEM_BOX_H
#define BACKEND_MEM_BOX_H

#include <pthread.h>

#include "backend/mem.h"
#include "base/list.h"

struct mem_item {
	uint64_t num, modseq;
	struct slice raw;       /* owned, like all slices here */
	unsigned flags;
	struct slice *keywords;
	size_t n_keywords;
	int64_t date_ms;
};

struct mem_gone {
	uint64_t num, modseq;
};

struct mem_folder {
	struct list link;       /* in creation order */
	struct slice path;      /* "A/B" */
	enum folder_type type;
	uint64_t identity, next, modseq;
	uint64_t journal_from;  /* tokens below it are not known any more */
	struct mem_item *v;     /* ascending num */
	size_t n, cap;
	struct mem_gone *gone;
	size_t n_gone, cap_gone;
};

struct mem_user {
	struct list link;
	struct slice user, password, address, name;
	struct list folders;
	struct list watches;    /* struct mem_watch */
};

struct mem_event {
	struct list link;
	struct slice user, folder;
};

struct mem_watch {
	struct watch watch;
	struct list link;
	struct mem *mem;
	struct session *session;
	struct slice *folders;  /* n 0: all */
	size_t n;
};

struct mem {
	struct backend backend;
	pthread_mutex_t mu;
	const struct clock *clock;
	struct list users;
	struct list events;     /* not yet handed over */
	int event_fd;           /* -1 until source_fd asks */
	be_event_fn *hook;
	void *hook_arg;
	uint64_t next_identity, logins;
	struct mem_sent *sent;
	size_t n_sent;
};

/* Lock; the way out also hands events over. */
struct mem *mem_enter(struct backend *b);
void mem_leave(struct mem *m);

struct mem_user *mem_user(struct mem *m, struct slice user);
struct mem_user *mem_user_by_address(struct mem *m, struct slice address);
struct mem_folder *mem_folder(struct mem_user *u, struct slice path); /* empty: INBOX */
struct mem_folder *mem_folder_add(struct mem *m, struct mem_user *u, struct slice path, enum folder_type type);
/* With what is below it. */
void mem_folder_drop(struct mem *m, struct mem_user *u, struct slice path);
void mem_folder_move(struct mem *m, struct mem_user *u, struct slice path, struct slice to);
void mem_folder_free(struct mem_folder **f);

struct mem_item *mem_item(struct mem_folder *f, uint64_t num); /* NULL: not there or marked deleted */
uint64_t mem_item_add(struct mem *m, struct mem_user *u, struct mem_folder *f, struct slice raw, unsigned flags,
		      int64_t date_ms);
void mem_item_flags(struct mem *m, struct mem_user *u, struct mem_folder *f, struct mem_item *it,
		    const struct be_flag_change *c);
uint64_t mem_item_move(struct mem *m, struct mem_user *u, struct mem_folder *f, uint64_t num, struct mem_folder *dst);
bool mem_item_drop(struct mem *m, struct mem_user *u, struct mem_folder *f, uint64_t num);
uint32_t mem_item_rev(const struct mem_item *it);
/* Something of the folder (NULL: of the folder list) changed. */
void mem_changed(struct mem *m, struct mem_user *u, const struct mem_folder *f);

#endif

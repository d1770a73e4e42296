/* sync_open.c - states of collections for the commands beside Sync. Worker. */
#include "work/sync_open.h"

#include "base/log.h"
#include "keys.h"
#include "work/sync_diff.h"

bool sync_gen_tells(const struct exchange *x)
{
	return settings_list_has(x->w->settings, "push.sources", S("hook"));
}

struct slice sync_class_folder(struct exchange *x, struct slice class)
{
	struct err e;
	struct folder_map *map = x->rq->version < EAS_120 && slice_eq(class, S("Email")) ? exchange_folders(x, &e) : NULL;

	for (size_t i = 0; map && i < map->list.n; i++)
		if (map->list.v[i].type == FOLDER_INBOX)
			return map->list.v[i].id;
	return S_NONE;
}

void sync_view_want(struct exchange *x, struct slice folder_id)
{
	if (folder_id.len == 0 || folder_id.len > 64)
		return;
	exchange_want(x, key_collection(x->a, x->dev ? x->dev->id : x->rq->query.device_id, folder_id));
	exchange_want(x, key_extra(x->a, folder_id));
}

void sync_view_open(struct exchange *x, struct folder *f, struct sync_view *v)
{
	struct slice record;
	struct err e;

	*v = (struct sync_view){ .folder = f };
	v->col_key = key_collection(x->a, x->dev->id, f->id);
	v->extra_key = key_extra(x->a, f->id);
	record = exchange_got(x, v->col_key, &v->base_len);
	v->record_len = record.len;
	if (colstate_unpack(&v->st, x->a, record, &e) < 0)
		LOG_W("sync state unreadable", L_S("user", x->dev->user), L_S("dev", x->dev->id), L_S("folder", f->path),
		      L_ERR(&e));
	if (extras_unpack(&v->extras, x->a, exchange_got(x, v->extra_key, NULL), &e) < 0) {
		LOG_W("flag details unreadable", L_S("user", x->dev->user), L_S("folder", f->path), L_ERR(&e));
		extras_init(&v->extras, x->a);
	}
	sync_options_unpack(&v->opt, v->st.options);
}

enum be_result sync_view_look(struct exchange *x, struct session *s, struct sync_view *v, int filter, size_t *waiting_r,
			      struct err *e)
{
	struct sync_look k = {
		.session = s, .folder = v->folder->path, .extras = &v->extras, .a = x->a,
		.version = x->rq->version, .since_ms = sync_since(filter, clock_wall(x->w->clock)),
	};
	enum be_result rc = BE_OK;

	/* With waiting work of an unfinished run nothing has to be asked. */
	if (!(sync_gen_tells(x) && v->st.token.len && v->st.gen == x->gen && x->gen && v->st.since_ms == k.since_ms))
		rc = exchange_result(x, BE_MAIL, sync_look(&k, &v->st, e));
	*waiting_r = colops_count(&v->st.pend);
	return rc;
}

void sync_view_save(struct exchange *x, struct sync_view *v)
{
	bool append;
	struct slice frame;

	if (v->st.exists && v->st.touched) {
		frame = colstate_frame(&v->st, COLFRAME_REDO, v->base_len, v->record_len, &append);
		exchange_put(x, v->col_key, append ? STORE_APPEND : STORE_PUT, frame, 0);
	}
	if (v->extras.touched)
		exchange_put(x, v->extra_key, STORE_PUT, extras_pack(&v->extras), -1);
}

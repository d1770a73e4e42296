/* body.c - the sink of a request's body: unpack, count, decode or spill.
 * Loop thread; everything is a function of the bytes, in any split. What is
 * behind an error is read over, because the answer is the command's. */
#include "loop/route.h"

#include "base/blob.h"
#include "work/trace.h"

enum { UNPACK_STEP = 16 * 1024 };

static void give_up(struct body *b)
{
	b->broken = true;
}

static void sink(struct body *b, struct slice s)
{
	if (b->broken || s.len == 0)
		return;
	switch (b->sink) {
	case SINK_NONE:
		break;
	case SINK_RFC822:
		if (blob_append(b->rq->raw, s.ptr, s.len, &b->err) < 0)
			give_up(b);
		break;
	case SINK_DECODE:
		if (decode_feed(b->decoder, s, &b->err) < 0)
			give_up(b);
		break;
	}
}

static int take(struct body *b, struct slice s)
{
	b->out += s.len;
	if (b->out > b->limit) {
		b->too_large = true;
		return err_set(&b->err, ERR_LIMIT, "body larger than %llu bytes", (unsigned long long)b->limit);
	}
	if (b->rq->traced && blob_size(b->rq->traced) < TRACE_BODY_MAX)
		blob_append(b->rq->traced, s.ptr, s.len, NULL);
	sink(b, s);
	return 0;
}

/* A bomb ends at the limit of the unpacked bytes, having cost one step of memory. */
static int unpack(struct body *b, struct slice s)
{
	char buf[UNPACK_STEP];

	if (b->unpacked_end || b->broken)
		return 0;
	b->z.next_in = (Bytef *)s.ptr;
	b->z.avail_in = (uInt)s.len;
	do {
		int rc;

		b->z.next_out = (Bytef *)buf;
		b->z.avail_out = sizeof(buf);
		rc = inflate(&b->z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
			err_set(&b->err, ERR_BAD_REQUEST, "gzip: %s", b->z.msg ? b->z.msg : "broken");
			give_up(b);
			return 0;
		}
		if (take(b, slice(buf, sizeof(buf) - b->z.avail_out)) < 0)
			return -1;
		b->unpacked_end = rc == Z_STREAM_END;
	} while (!b->unpacked_end && (b->z.avail_in || b->z.avail_out == 0));
	return 0;
}

int body_feed(struct body *b, struct slice chunk)
{
	b->in += chunk.len;
	if (b->in > b->limit && b->packed) {
		b->too_large = true;
		return err_set(&b->err, ERR_LIMIT, "body larger than %llu bytes", (unsigned long long)b->limit);
	}
	return b->packed ? unpack(b, chunk) : take(b, chunk);
}

/* Which version a request without one is: the oldest that its elements and its
 * command allow, 2.5 at the earliest. */
static void settle_version(struct request *rq)
{
	const struct command *cmd = command_find(rq->query.command);

	if (rq->version_given)
		return;
	if (rq->report && rq->report->oldest > rq->version)
		rq->version = rq->report->oldest;
	if (cmd && (int)cmd->first > rq->version)
		rq->version = cmd->first;
}

void body_end(struct body *b)
{
	struct request *rq = b->rq;

	if (b->packed && b->in && !b->unpacked_end && !b->broken) {
		err_set(&b->err, ERR_BAD_REQUEST, "gzip: cut short");
		give_up(b);
	}
	rq->body_kind = BODY_NONE;
	if (b->broken) {
		rq->body_kind = BODY_BAD;
	} else if (b->sink == SINK_RFC822 && b->out) {
		rq->body_kind = BODY_RFC822;
	} else if (b->sink == SINK_DECODE && b->out) {
		rq->decoded = decode_end(b->decoder, &b->err);
		rq->body_kind = rq->decoded ? BODY_DECODED : BODY_BAD;
	}
	settle_version(rq);
}

void body_deinit(struct body *b)
{
	if (b->packed)
		inflateEnd(&b->z);
	memset(b, 0, sizeof(*b));
}

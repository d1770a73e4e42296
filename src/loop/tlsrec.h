/* tlsrec.h - the record layer of TLS 1.2 after the handshake (RFC 5246 section 6,
 * RFC 5288 AES-GCM, RFC 7905 ChaCha20-Poly1305): seals and opens records with
 * the library's AEAD. Pure: no sockets, no handshakes. One owner at a time.
 *
 * struct tlsrec is all that a silent connection keeps (112 bytes). The AEAD key
 * schedules live in struct tlsrec_live, made from it for the time of an
 * exchange; at most one live exists for a tlsrec, or a nonce could repeat: both
 * sides of the pair count, and a difference asserts, also in release builds.
 *
 * What is no application data or close_notify ends the connection: alerts,
 * handshake messages (renegotiation), another version, a bad tag, a length out of
 * bounds. Plaintext is handed out only after its tag was checked. */
#ifndef LOOP_TLSREC_H
#define LOOP_TLSREC_H

#include <sys/types.h>

#include "base/err.h"

enum tlsrec_suite {
	TLSREC_NONE,
	TLSREC_AES_128_GCM,
	TLSREC_AES_256_GCM,
	TLSREC_CHACHA20_POLY1305,
};

enum {
	TLSREC_HEADER = 5,
	TLSREC_PLAIN_MAX = 16384,
	TLSREC_OVERHEAD_MAX = TLSREC_HEADER + 8 + 16,
	TLSREC_WIRE_MAX = TLSREC_PLAIN_MAX + TLSREC_OVERHEAD_MAX,
};

enum tlsrec_type { TLSREC_CCS = 20, TLSREC_ALERT = 21, TLSREC_HANDSHAKE = 22, TLSREC_DATA = 23 };

/* Alert descriptions that we send (RFC 5246 section 7.2). */
enum tlsrec_alert {
	TLSREC_CLOSE_NOTIFY = 0,
	TLSREC_UNEXPECTED_MESSAGE = 10,
	TLSREC_BAD_RECORD_MAC = 20,
	TLSREC_RECORD_OVERFLOW = 22,
	TLSREC_DECODE_ERROR = 50,
	TLSREC_PROTOCOL_VERSION = 70,
};

struct tlsrec {
	uint64_t seq_in, seq_out;  /* of the next record */
	uint8_t key_in[32], key_out[32];
	uint8_t iv_in[12], iv_out[12]; /* GCM: the 4 fixed bytes */
	uint16_t max_out;          /* plaintext of one record the peer takes */
	uint8_t suite;
	uint8_t state;             /* TLSREC_S_*, tlsrec.c */
};

struct tlsrec_live;

/* After the handshake: both sides have sent one sealed record (Finished). key and
 * iv lengths as the suite has them. */
void tlsrec_init(struct tlsrec *r, enum tlsrec_suite suite, const uint8_t *key_in, const uint8_t *key_out,
		 const uint8_t *iv_in, const uint8_t *iv_out, uint16_t max_out);
size_t tlsrec_key_len(enum tlsrec_suite suite);
size_t tlsrec_iv_len(enum tlsrec_suite suite);
/* Wipes the keys. */
void tlsrec_wipe(struct tlsrec *r);

/* Bound to r until freed. */
struct tlsrec_live *tlsrec_live_new(struct tlsrec *r);
void tlsrec_live_free(struct tlsrec_live **v);

struct tlsrec_in {
	size_t used;        /* bytes of the record, header and all */
	struct slice plain; /* inside the caller's buffer; may be empty */
	bool closed;        /* close_notify: nothing more comes */
	uint8_t alert;      /* on -1: what to tell the peer */
};

/* Opens the record at the front of buf, in place. 1: *in_r is filled; 0: the
 * record is not whole yet; -1: the connection is over (so is every later call). */
int tlsrec_open(struct tlsrec_live *v, char *buf, size_t len, struct tlsrec_in *in_r, struct err *e);
/* Seals at most max_out bytes into `out` (TLSREC_OVERHEAD_MAX + plain.len of
 * room). *used_r: plaintext taken. Bytes written, or -1: no more records may be
 * sent (after close_notify, or the sequence is used up). */
ssize_t tlsrec_seal(struct tlsrec_live *v, struct slice plain, char *out, size_t *used_r);
/* close_notify (warning) or another alert (fatal), once. TLSREC_OVERHEAD_MAX + 2 of room. */
ssize_t tlsrec_seal_alert(struct tlsrec_live *v, enum tlsrec_alert alert, char *out);

#endif

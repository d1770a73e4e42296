/* sample.c - first start of the local backend: one account and a handful of
 * mails that show what a phone has to cope with. Any thread, blocking, once. The
 * mails are templates: @TO@, @DATE@ and @N@ are filled in. Nothing is touched
 * where an accounts file is there already. */
#include <stdio.h>
#include <stdlib.h>

#include "backend/local/local_priv.h"
#include "proto/date.h"

static const char welcome[] =
	"From: zpushd <postmaster@localhost>\r\n"
	"To: <@TO@>\r\n"
	"Subject: Your mailbox works\r\n"
	"Date: @DATE@\r\n"
	"Message-ID: <welcome.@N@@localhost>\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: text/plain; charset=us-ascii\r\n"
	"\r\n"
	"Hello,\r\n"
	"\r\n"
	"this mailbox lives in the data directory of zpushd, as a Maildir that any\r\n"
	"delivery agent can drop mails into. Put a file into its new/ directory and\r\n"
	"a phone that waits is told within a second.\r\n"
	"\r\n"
	"Reply to this mail, forward it, flag it, move it: all of it stays here.\r\n";

static const char both[] =
	"From: \"Nora Lind\" <nora@example.net>\r\n"
	"To: <@TO@>\r\n"
	"Subject: Weekend plans\r\n"
	"Date: @DATE@\r\n"
	"Message-ID: <plans.@N@@example.net>\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/alternative; boundary=\"=_alt_7f3a\"\r\n"
	"\r\n"
	"--=_alt_7f3a\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"Saturday: market at nine, then the lake.\r\n"
	"Sunday: nothing at all =E2=80=94 promise.\r\n"
	"--=_alt_7f3a\r\n"
	"Content-Type: text/html; charset=utf-8\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"<html><body><p><b>Saturday:</b> market at nine, then the <i>lake</i>.</p>\r\n"
	"<p><b>Sunday:</b> nothing at all =E2=80=94 promise.</p></body></html>\r\n"
	"--=_alt_7f3a--\r\n";

static const char attached[] =
	"From: \"Accounts\" <accounts@example.net>\r\n"
	"To: <@TO@>\r\n"
	"Cc: \"Nora Lind\" <nora@example.net>\r\n"
	"Subject: List of the week\r\n"
	"Date: @DATE@\r\n"
	"Message-ID: <list.@N@@example.net>\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=\"=_mix_21c0\"\r\n"
	"\r\n"
	"--=_mix_21c0\r\n"
	"Content-Type: text/plain; charset=us-ascii\r\n"
	"\r\n"
	"The list is attached. Please have a look before Friday.\r\n"
	"--=_mix_21c0\r\n"
	"Content-Type: text/csv; charset=us-ascii; name=\"week.csv\"\r\n"
	"Content-Disposition: attachment; filename=\"week.csv\"\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	"SXRlbTtDb3VudDtQcmljZQ0KQ29mZmVlOzI7My40MA0KVGVhOzE7Mi44MA0KQ2FrZTszOzQuMTAN\r\n"
	"Cg==\r\n"
	"--=_mix_21c0--\r\n";

static const char picture[] =
	"From: \"Nora Lind\" <nora@example.net>\r\n"
	"To: <@TO@>\r\n"
	"Subject: The new sign\r\n"
	"Date: @DATE@\r\n"
	"Message-ID: <sign.@N@@example.net>\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/related; boundary=\"=_rel_90be\"; type=\"text/html\"\r\n"
	"\r\n"
	"--=_rel_90be\r\n"
	"Content-Type: text/html; charset=us-ascii\r\n"
	"\r\n"
	"<html><body><p>This is how it will look:</p>\r\n"
	"<p><img src=\"cid:sign.@N@@example.net\" alt=\"sign\" width=\"32\" height=\"32\"></p></body></html>\r\n"
	"--=_rel_90be\r\n"
	"Content-Type: image/png; name=\"sign.png\"\r\n"
	"Content-Disposition: inline; filename=\"sign.png\"\r\n"
	"Content-ID: <sign.@N@@example.net>\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	"iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAYAAABzenr0AAAAfElEQVR42mNgGAWjYBQMJiAXteA/\r\n"
	"PTBRDnj96RdVMdEOQFZMbcthbIIOoKYj0M0h2gHIGiixHJsYSQ4gJzTwqSfLAaQ4gpA6sh1ArOHE\r\n"
	"mEG2AwjFLbF6KXYAer4mVR9VHEBuVqWqA8jNmqMOGHXA4HbAgDZIRsEoGAUDAQB1BzWJ+YtQXwAA\r\n"
	"AABJRU5ErkJggg==\r\n"
	"--=_rel_90be--\r\n";

static const char utf8[] =
	"From: =?utf-8?q?Zo=C3=AB_M=C3=BCller?= <zoe@example.net>\r\n"
	"To: <@TO@>\r\n"
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_=E5=8F=B0=E5=8C=97_=F0=9F=8C=8F?=\r\n"
	"Date: @DATE@\r\n"
	"Message-ID: <taipei.@N@@example.net>\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: 8bit\r\n"
	"\r\n"
	"Sch\xc3\xb6ne Gr\xc3\xbc\xc3\x9f" "e aus \xe5\x8f\xb0\xe5\x8c\x97!\r\n"
	"\r\n"
	"Das Essen ist gro\xc3\x9f" "artig, das Wetter auch. \xf0\x9f\x98\x8a\r\n";

static const struct {
	const char *text;
	int age_hours;
	unsigned flags;
} samples[] = {
	{ picture, 50, MAIL_SEEN },
	{ attached, 27, MAIL_SEEN | MAIL_FLAGGED },
	{ utf8, 20, 0 },
	{ both, 3, 0 },
	{ welcome, 0, 0 },
};

static int put_filled(struct blob *out, const char *text, struct slice to, struct slice date, struct slice n,
		      struct err *e)
{
	const struct {
		struct slice mark, value;
	} marks[] = { { S("@TO@"), to }, { S("@DATE@"), date }, { S("@N@"), n } };

	while (*text) {
		struct slice put = slice(text, 1);
		size_t used = 1;

		for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
			if (strncmp(text, marks[i].mark.ptr, marks[i].mark.len) == 0) {
				put = marks[i].value;
				used = marks[i].mark.len;
			}
		if (blob_append(out, put.ptr, put.len, e) < 0)
			return -1;
		text += used;
	}
	return 0;
}

static int put_samples(struct session *s, struct slice to, const struct rnd *rnd, struct err *e)
{
	int64_t now = clock_wall(&clock_system);
	struct arena *a = arena_new();
	int r = 0;

	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples) && r == 0; i++) {
		int64_t at = now - samples[i].age_hours * INT64_C(3600000);
		struct blob *mail = blob_new(0);
		uint64_t num;

		r = put_filled(mail, samples[i].text, to, date_format_mail(a, at),
			       arena_printf(a, "%llx", (unsigned long long)rnd_u64(rnd)), e);
		if (r == 0 && s->ops->append(s, S("INBOX"), mail, samples[i].flags, at, &num, e) != BE_OK)
			r = -1;
		blob_free(&mail);
	}
	arena_free(&a);
	return r;
}

/* Letters and digits that nobody mixes up on a phone's keyboard; 12 of 31: 59 bits. */
static void make_password(const struct rnd *rnd, char *out)
{
	static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
	enum { LENGTH = 12, KINDS = sizeof(letters) - 1, FAIR = 256 / KINDS * KINDS };
	int n = 0;

	while (n < LENGTH) {
		uint8_t b;

		rnd->fill(rnd->self, &b, 1);
		if (b < FAIR)
			out[n++] = letters[b % KINDS];
	}
	out[n] = 0;
}

static int fill_mailbox(const char *users, const char *root, const struct local_first *f, const struct rnd *rnd,
			struct err *e)
{
	enum { WAIT_MS = 60000 };
	struct backend *b;
	struct session *s = NULL;
	struct be_cred cred = { .user = slice_str(f->user), .password = slice_str(f->password) };
	int r = -1;

	if (local_new(&b, &(struct local_conf){ .root = root, .users = users }, e) < 0)
		return -1;
	if (b->ops->login(b, &cred, clock_now(&clock_system) + WAIT_MS, &s, e) == BE_OK)
		r = put_samples(s, slice_str(f->address), rnd, e);
	if (s)
		b->ops->logout(&s);
	b->ops->close(&b);
	return r;
}

/* The directories above the accounts file. */
static int make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int r;

	if (!slash || slash == path)
		return 0;
	dir = path_join("%.*s", (int)(slash - path), path);
	r = dir_make(dir);
	free(dir);
	return r;
}

int local_setup(const struct settings *set, const struct rnd *rnd, struct local_first *f_r, struct err *e)
{
	struct arena *a = arena_new();
	const char *users = arena_str(a, local_users_path(set, a)), *root = arena_str(a, local_root_path(set, a));
	struct stamp there;
	int r = 0;

	*f_r = (struct local_first){ 0 };
	if (stamp_of(users, &there) < 0 || make_parent(users) < 0) {
		files_errno(e, "make", users);
		r = -1;
	} else if (there.dev_ino == 0) {
		snprintf(f_r->user, sizeof(f_r->user), "demo");
		snprintf(f_r->address, sizeof(f_r->address), "demo@localhost");
		make_password(rnd, f_r->password);
		r = local_user_add(users, slice_str(f_r->user), slice_str(f_r->password), slice_str(f_r->address),
				   S("Demo User"), rnd, e);
		f_r->made = r == 0;
		if (r == 0)
			r = fill_mailbox(users, root, f_r, rnd, e);
	}
	arena_free(&a);
	return r;
}

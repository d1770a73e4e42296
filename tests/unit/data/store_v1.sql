-- A store of schema version 1, as that version wrote it. Never edit: new versions read it.
CREATE TABLE record (id INTEGER PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL, until_ms INTEGER, sliding INTEGER NOT NULL, UNIQUE (user, name));
CREATE INDEX record_until ON record (until_ms) WHERE until_ms IS NOT NULL;
CREATE TABLE part (record INTEGER NOT NULL REFERENCES record ON DELETE CASCADE, seq INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (record, seq));
CREATE TABLE gen (user TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO record VALUES (1, 'jane@example.org', 'dev:ABC', 1700000000000000, NULL, 0);
INSERT INTO record VALUES (2, 'jane@example.org', 'col:ABC:f1', 1700000000000007, 9999999999999, 1);
INSERT INTO record VALUES (3, 'jane@example.org', 'sent:ABC:gone', 1700000000000008, 1700000000000, 0);
INSERT INTO part VALUES (1, 0, X'01646576696365');
INSERT INTO part VALUES (2, 0, X'0162617365');
INSERT INTO part VALUES (2, 1, X'2B31');
INSERT INTO part VALUES (2, 2, X'2B32');
INSERT INTO part VALUES (3, 0, X'01');
INSERT INTO gen VALUES ('jane@example.org', 42);
INSERT INTO meta VALUES ('rev', 1700000000000008);
PRAGMA user_version = 1;

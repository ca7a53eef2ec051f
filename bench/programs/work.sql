-- A database in memory: inserts, an index, joins, groups, updates, deletes.
PRAGMA temp_store = MEMORY;
CREATE TABLE body(id INTEGER PRIMARY KEY, name TEXT, x REAL, y REAL, kind INTEGER);
CREATE TABLE contact(a INTEGER, b INTEGER, force REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
INSERT INTO body SELECT i, 'body-' || i || '-' || substr('abcdefghijklmnopqrstuvwxyz', i % 20 + 1, i % 7),
  i * 37 % 1000, i * 91 % 1000, i % 12 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
INSERT INTO contact SELECT i * 7919 % 120000 + 1, i * 104729 % 120000 + 1, i % 100 / 10.0 FROM n;
COMMIT;
CREATE INDEX body_name ON body(name);
CREATE INDEX contact_a ON contact(a);
SELECT kind, count(*), sum(force) FROM contact JOIN body ON body.id = contact.a GROUP BY kind ORDER BY kind;
SELECT count(DISTINCT substr(name, 1, 9)), max(length(name)) FROM body;
UPDATE body SET name = name || '-moved' WHERE kind IN (3, 5, 7);
DELETE FROM contact WHERE force > 8.0;
SELECT length(group_concat(name, ',')) FROM (SELECT name FROM body ORDER BY name DESC);
SELECT a.kind, b.kind, count(*) FROM contact c JOIN body a ON a.id = c.a JOIN body b ON b.id = c.b
  GROUP BY a.kind, b.kind ORDER BY 3 DESC, 1, 2 LIMIT 10;

#!/usr/bin/env bash
# sqlite3: a script of inserts, indexes, joins and full-text search, its output and its file compared.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need sqlite3
rows=60000
[ -z "$modes" ] || rows=8000
cat >"$work/script.sql" <<SQL
pragma page_size = 4096;
create table items (id integer primary key, name text, weight real, parent integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < $rows)
insert into items select i, printf('name-%d-%s', i, hex(i * 2654435761)), i * 0.37, i / 3 from n;
create index by_name on items (name);
create index by_parent on items (parent, weight);
update items set name = name || '-' || length(name) where id % 5 = 0;
delete from items where id % 11 = 4;
select count(*), sum(weight), max(name) from items;
select p.id, count(*), group_concat(c.id) from items p join items c on c.parent = p.id
 group by p.id order by count(*) desc, p.id limit 300;
select substr(name, 6, 3) k, count(*) over (partition by substr(name, 6, 3)), avg(weight) over
 (order by id rows between 50 preceding and current row) from items order by k, id limit 5000;
create virtual table texts using fts5 (body);
insert into texts select name || ' word' || (id % 97) || ' word' || (id % 31) from items;
select count(*) from texts where texts match 'word5 and word7';
select json_group_array(json_object('id', id, 'n', name)) from (select * from items order by id limit 2000);
vacuum;
select sql from sqlite_master order by name;
SQL
plainly sqlite sqlite3 "$work/plain.db" ".read $work/script.sql"
with_us sqlite sqlite3 "$work/ours.db" ".read $work/script.sql"
same sqlite
cmp "$work/plain.db" "$work/ours.db" || fail "the database files differ"
[ "$(wc -c <"$work/sqlite.ours")" -gt 100000 ] || fail "the script wrote too little"

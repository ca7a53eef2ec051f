#!/usr/bin/env bash
# C++ that is edited while it runs, by g++ and by clang++: the example's animals get a field in the middle;
# then what of the standard library is carried with a changed class in it, and what is refused by name.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make g++ clang++
says() { grep -a '^frame\|animals' "$work/err" | tail -1 | grep -q "$1"; }

# ---- the example ----
example() { # COMPILER
    rm -rf "$work/cxx"
    mkdir "$work/cxx"
    cp "$sources"/examples/cxx/{herd.cpp,Makefile} "$work/cxx"
    make -s -C "$work/cxx" CXX="$1" || fail "$1: the example does not build"
    host_start --stage none --paced --watchdog 0 --build "make -s -C $work/cxx CXX=$1" --source "$work/cxx" "$work/cxx/herd.so"
    wait_for 'above frame 70'
    sed -e 's/^    float x, y;$/    double hunger = 3;\n    float x, y;/' \
        -e 's/^    int x, y;$/    int x;\n    long seeds[3] = {};\n    int y;/' \
        -e 's/led by %s/now led by %s/' "$work/cxx/herd.cpp" >"$work/herd.cpp"
    mv "$work/herd.cpp" "$work/cxx/herd.cpp"
    wait_for 'is build 2' "$1: the edit is not taken: $(field notice)"
    [ "$(field objects)" -ge 11 ] || fail "$1: objects converted: $(field objects)"
    wait_for 'says "9 animals, now led by Rex after"' "$1: it does not go on: $(tail -3 "$work/err")"
    at=$(field frame)
    wait_for "above frame $((at + 90))" "$1: the vector does not grow on"
    is failure null || fail "$1: it fails after the edit: $(field failure)"
    is values_lost 0 || fail "$1: values are lost: $(field first_lost)"
    quietly quit
    host_ended 0
}
example g++
example clang++

# ---- the standard library ----
mkdir "$work/lib"
compile() { # COMPILER SOURCE DEFINES…
    local compiler=$1 source=$2
    shift 2
    # shellcheck disable=SC2046
    "$compiler" -std=c++17 -g -O1 -w "$@" $(reprise cflags) -fPIC -shared $(reprise ldflags) -o "$work/lib/next.so" \
        "$work/lib/$source" && mv "$work/lib/next.so" "$work/lib/game.so" || fail "$compiler: $source does not build"
}
cat >"$work/lib/all.h" <<'SOURCE'
#include <reprise/reprise.h>
#include <cstdio>
#include <string>
struct Item { int id; FIELD std::string name; Item(int i = 0, const char *n = "") : id(i), name(n) {} };
static const char *const longer = "a name that does not fit into the string itself";
static bool good();
static void make();
extern "C" void rp_module_start(rp_stage *) { make(); }
extern "C" void rp_module_step(rp_stage *s) {
    std::printf("frame %d: %s size %d\n", (int)s->frame, good() ? "good" : "bad", (int)sizeof(Item));
    std::fflush(stdout);
}
SOURCE
cat >"$work/lib/carried.cc" <<'SOURCE'
#include "all.h"
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <typeinfo>
#include <vector>
struct A { int a = 1; FIELD std::string n = "of A"; virtual int fa() { return a; } virtual ~A() {} };
struct B { int b = 2; virtual int fb() { return b; } virtual ~B() {} };
struct C : A, B { int c = 3; int fa() override { return c; } int fb() override { return c + 1; } };
struct D : A { int d = 5; };
template <class T> struct Pool { std::vector<T> all; FIELD int used = 1; virtual int f() { return used; } virtual ~Pool() {} };
struct Wrong : std::runtime_error { Item item; Wrong(Item i) : std::runtime_error("wrong"), item(i) {} };
static Item value(3, "inside"), *alone;
static std::string sso = "sso", big = longer;
static std::vector<Item> items;
static std::vector<std::vector<Item>> nested;
static std::vector<bool> bits;
static std::vector<std::string> texts;
static A *as, *plain;
static B *bs;
static C global;
static std::vector<std::unique_ptr<A>> owned;
static std::shared_ptr<Item> shared, other;
static std::function<int(int)> twice, adds;
static Pool<Item> *pool;
static std::map<std::string, int> counts;
static const std::type_info *info;
static Item &local() { static Item once(9, "static of a function"); return once; }
static thread_local std::string tls = "tls";
static int doubled(int x) { return 2 * x; }
static void make() {
    alone = new Item(7, "heap");
    sso += "!", tls += "!";
    for (int i = 0; i < 5; i++) items.emplace_back(i, i % 2 ? "short" : longer);
    nested.resize(3);
    for (auto &n : nested) n.emplace_back(4, "n");
    for (int i = 0; i < 100; i++) bits.push_back(i % 3 == 0);
    texts = {"a", longer};
    C *c = new C;
    as = c, bs = c, plain = new A;
    owned.push_back(std::make_unique<D>());
    owned.push_back(std::make_unique<A>());
    shared = std::shared_ptr<Item>(new Item(8, "shared"));
    other = shared;
    int k = 7;
    twice = doubled, adds = [k](int x) { return x + k; };
    pool = new Pool<Item>;
    pool->all.emplace_back(6, "pooled");
    for (int i = 0; i < 9; i++) counts["k" + std::to_string(i)] = i;
    info = &typeid(*as);
    local().id = 10;
}
static bool strings() { return sso == "sso!" && big == longer && tls == "tls!" && texts[0] == "a" && texts[1] == longer; }
static bool vectors() {
    static int grown;
    items.emplace_back(grown++, "grown");
    for (int i = 0; i < 5; i++)
        if (items[i].id != i || items[i].name != (i % 2 ? "short" : longer)) return false;
    for (int i = 0; i < 100; i++)
        if (bits[i] != (i % 3 == 0)) return false;
    return items.back().name == "grown" && nested[2][0].name == "n" && pool->all[0].name == "pooled" && pool->f() == 1;
}
static bool objects() {
    return value.id == 3 && value.name == "inside" && alone->id == 7 && alone->name == "heap" && local().id == 10 &&
           local().name == "static of a function" && shared->name == "shared" && shared == other && shared.use_count() == 2;
}
static bool classes() {
    bool casts = dynamic_cast<C *>(as) && !dynamic_cast<D *>(plain) && typeid(*as) == typeid(C) && *info == typeid(C) &&
                 dynamic_cast<D *>(owned[0].get())->d == 5;
    return casts && as->fa() == 3 && bs->fb() == 4 && plain->fa() == 1 && plain->n == "of A" && global.fb() == 4;
}
static bool calls() { return twice(4) == 8 && adds(1) == 8 && counts.at("k7") == 7 && counts.size() == 9; }
static bool throws() {
    try { throw Wrong(*alone); } catch (const std::exception &e) {
        return dynamic_cast<const Wrong *>(&e)->item.name == "heap" && std::string(e.what()) == "wrong";
    }
}
static bool good() { return strings() && vectors() && objects() && classes() && calls() && throws(); }
SOURCE
cat >"$work/lib/nodes.cc" <<'SOURCE'
#include "all.h"
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
static bool operator<(const Item &a, const Item &b) { return a.id < b.id; }
static std::map<int, Item> tree;
static std::map<std::string, Item> named;
static std::multimap<int, Item> many;
static std::set<Item> ordered;
static std::list<Item> chain, empty;
static std::forward_list<Item> single;
static std::unordered_map<int, Item> hashed;
static std::unordered_map<std::string, Item> by_name; /* its nodes keep the hash */
static std::unordered_set<std::string> unchanged;
static std::map<int, std::map<int, Item>> nested;
struct Level { int number; FIELD std::map<int, std::list<Item>> rooms; std::list<Level> below; };
static Level *top;
static std::map<int, Item> *far_tree;
static std::list<Item> *far_chain;
static std::unordered_map<int, Item> *far_hashed;
struct Page { char text[200]; Item item; }; /* two in a block of a deque, before and after */
static std::deque<Page> pages;
static std::shared_ptr<Item> shared, also;
static std::weak_ptr<Item> watched;
template <class T> struct Base { virtual int value() { return 0; } virtual ~Base() {} };
template <class T> struct Holder : Base<T> { T held; FIELD Holder(T h) : held(h) {} int value() override { return held.id; } };
static Base<Item> *abstract;
static Item *favourite, *last;
static std::map<int, Item>::iterator kept;
static std::list<Item>::iterator place;
static std::unordered_map<int, Item>::iterator found;
static void fill(Level &l, int depth) {
    l.number = depth;
    for (int i = 0; i < 3; i++) l.rooms[i].emplace_back(depth * 10 + i, longer);
    for (int i = 0; i < 2 && depth < 4; i++) fill(*l.below.emplace(l.below.end()), depth + 1);
}
static void make() {
    far_tree = new std::map<int, Item>, far_chain = new std::list<Item>, far_hashed = new std::unordered_map<int, Item>;
    for (int i = 0; i < 50; i++) {
        Item item(i, i % 2 ? "short" : longer);
        tree.emplace(i, item), named.emplace("key " + std::to_string(i), item), many.emplace(i / 2, item);
        ordered.insert(item), chain.push_back(item), single.push_front(item);
        hashed.emplace(i, item), by_name.emplace("key " + std::to_string(i), item);
        unchanged.insert(std::to_string(i)), nested[i % 5].emplace(i, item);
        far_tree->emplace(i, item), far_chain->push_back(item), far_hashed->emplace(i, item);
    }
    top = new Level;
    fill(*top, 0);
    for (int i = 0; i < 20; i++) pages.push_back(Page{"", Item(i, longer)});
    pages.pop_front();
    shared = std::make_shared<Item>(4, longer), also = shared, watched = shared;
    abstract = new Holder<Item>(Item(8, longer));
    favourite = &tree.at(20), last = &far_chain->back();
    kept = tree.find(30), place = chain.begin(), found = hashed.find(7);
    std::advance(place, 9);
}
static bool is(const Item &item, int id) { return item.id == id && item.name == (id % 2 ? "short" : longer); }
static bool of_keys() {
    for (int i = 0; i < 50; i++) {
        std::string key = "key " + std::to_string(i);
        if (!is(tree.at(i), i) || !is(named.at(key), i) || !is(hashed.at(i), i) || !is(by_name.at(key), i) ||
            !is(nested.at(i % 5).at(i), i) || !is(far_tree->at(i), i) || !is(far_hashed->at(i), i) ||
            many.count(i / 2) != 2 || !is(*ordered.find(Item(i)), i) || !unchanged.count(std::to_string(i)))
            return false;
    }
    return true;
}
static bool of_order() {
    int i = 0, k = 0, n = 49;
    for (const Item &item : chain) if (!is(item, i++)) return false;
    for (const Item &item : *far_chain) if (!is(item, k++)) return false;
    for (const Item &item : single) if (!is(item, n--)) return false;
    return i == 50 && k == 50 && n == -1 && empty.empty();
}
static bool of_levels(const Level &l, int depth) {
    for (int i = 0; i < 3; i++)
        if (l.rooms.at(i).front().id != depth * 10 + i || l.rooms.at(i).front().name != longer) return false;
    for (const Level &below : l.below)
        if (!of_levels(below, depth + 1)) return false;
    return l.number == depth && l.below.size() == (depth < 4 ? 2u : 0u);
}
static bool of_places() {
    return favourite == &tree.at(20) && last == &far_chain->back() && kept == tree.find(30) && is(kept->second, 30) &&
           std::distance(chain.begin(), place) == 9 && found == hashed.find(7) && is(found->second, 7);
}
static bool of_others() {
    for (int i = 0; i < 19; i++)
        if (pages[i].item.id != i + 1 || pages[i].item.name != longer) return false;
    return is(*shared, 4) && also == shared && shared.use_count() == 2 && !watched.expired() && abstract->value() == 8 &&
           dynamic_cast<Holder<Item> *>(abstract)->held.name == longer;
}
static bool grows() { /* and is taken apart again */
    static int next = 1000;
    tree.emplace(next, Item(next, "new")), hashed.emplace(next, Item(next, "new")), ordered.insert(Item(next, "new"));
    chain.emplace_back(next, "new"), by_name.emplace(std::to_string(next), Item(next, "new"));
    empty.emplace_back(next, "new"), empty.clear(), chain.pop_back();
    bool there = tree.erase(next) && hashed.erase(next) && ordered.erase(Item(next)) && by_name.erase(std::to_string(next));
    next++;
    return there;
}
static bool good() { return of_keys() && of_order() && of_levels(*top, 0) && of_places() && of_others() && grows(); }
SOURCE
carried() { # COMPILER SOURCE
    compile "$1" "$2" -DFIELD=
    host_start --stage none --paced --watchdog 0 "$work/lib/game.so"
    wait_for 'says "good size 40"' "$1: it is not good from the start: $(tail -3 "$work/err")"
    compile "$1" "$2" '-DFIELD=double added = 0;'
    wait_for 'is build 2' "$1: refused: $(field notice)"
    wait_for 'says "size 48"'
    says 'good size 48' || fail "$1: not carried: $(tail -3 "$work/err")"
    is failure null || fail "$1: it fails: $(field failure)"
    quietly quit
    host_ended 0
}
for source in carried.cc nodes.cc; do
    carried g++ $source
    carried clang++ $source
done

# ---- what is refused, with its words: never carried wrongly ----
refused() { # WORDS DECLARATIONS MAKING
    printf '#include "all.h"\n%s\nstatic void make() { %s }\nstatic bool good() { return true; }\n' "$2" "$3" >"$work/lib/refused.cc"
    compile g++ refused.cc -DFIELD=
    host_start --stage none --paced --watchdog 0 "$work/lib/game.so"
    wait_for 'says "good"'
    compile g++ refused.cc '-DFIELD=double added = 0;'
    wait_for '[ -n "$(field why)" ]' "it is not refused: $2"
    is build 1 || fail "it is taken: $2"
    field why | grep -q -- "$1" || fail "refused otherwise: $(field why): $2"
    quietly quit
    host_ended 0
}
refused 'holds 10 of its elements in a block, and held 12' $'#include <deque>\nstd::deque<Item> d;' 'd.emplace_back(1, "s");'
refused '_Optional_payload' $'#include <optional>\nstd::optional<Item> o;' 'o.emplace(1, "s");'
refused "virtual base 'V'" 'struct V { int v = 1; FIELD virtual ~V() {} }; struct W : virtual V { int w; }; W *w;' 'w = new W;'
refused 'holds an offset' 'struct T { int a; FIELD int b; }; T *t; int T::*m;' 't = new T; m = t ? &T::b : &T::a;'

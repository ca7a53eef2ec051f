"""What a larger Python program does, with an output that is the same at each run."""
import bz2, collections, concurrent.futures, csv, decimal, functools, gc, hashlib, heapq, io
import itertools, json, lzma, os, pickle, random, re, sqlite3, string, subprocess, sys, tempfile
import threading, weakref, xml.etree.ElementTree as tree, zlib

rounds = int(sys.argv[1])


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def documents(count, seed):
    chance = random.Random(seed)
    return [{"id": i, "name": "".join(chance.choices(string.ascii_letters, k=chance.randrange(60))),
             "tags": [chance.randrange(1000) for _ in range(chance.randrange(20))],
             "nested": {str(k): k * 1.5 for k in range(chance.randrange(8))}}
            for i in range(count)]


def texts(seed):
    made = documents(1500, seed)
    text = json.dumps(made, indent=1, sort_keys=True)
    assert json.loads(text) == made
    assert pickle.loads(pickle.dumps(made)) == made
    words = collections.Counter(re.findall(r"[A-Z][a-z]+", text))
    swapped = re.sub(r"(\d+)\.(\d+)", lambda m: m.group(2) + "," + m.group(1), text)
    return digest((words.most_common(50), zlib.crc32(swapped.encode())))


def packed(seed):
    data = b"".join(hashlib.sha512(b"%d %d" % (seed, i % 97)).digest() for i in range(6000))
    for module in (zlib, bz2, lzma):
        assert module.decompress(module.compress(data)) == data
    return digest(zlib.compress(data, 9))


def database(seed):
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a integer primary key, b text, c real)")
    base.executemany("insert into t values (?, ?, ?)",
                     [(d["id"], d["name"], len(d["tags"]) / 3) for d in documents(3000, seed)])
    base.execute("create index i on t (b)")
    base.execute("delete from t where a % 7 = 3")
    rows = base.execute("select substr(b, 1, 1), count(*), sum(c) from t group by 1 order by 1").fetchall()
    base.close()
    return digest(rows)


class Node:
    def __init__(self, others):
        self.others, self.me = others, self


def cycles(seed):
    kept = [Node([Node([]) for _ in range(5)]) for _ in range(3000)]
    watched = [weakref.ref(n) for n in kept]
    del kept
    gc.collect()
    return sum(w() is None for w in watched)


def markup(seed):
    root = tree.Element("root")
    for d in documents(800, seed):
        child = tree.SubElement(root, "doc", id=str(d["id"]))
        child.text = d["name"]
    text = tree.tostring(root)
    return digest([e.text for e in tree.fromstring(text).iter("doc")])


def numbers(seed):
    decimal.getcontext().prec = 400
    big = functools.reduce(lambda a, b: a * b, range(1, 1500))
    heap = [hash((seed, i)) % 10007 for i in range(20000)]
    heapq.heapify(heap)
    return digest((str(big)[:80], str(decimal.Decimal(2).sqrt()), [heapq.heappop(heap) for _ in range(500)],
                   list(itertools.islice(itertools.permutations("abcdefgh"), 20000, 20010))))


def files(seed):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "t.csv")
        with open(path, "w", newline="") as out:
            csv.writer(out).writerows((i, i * i, "x" * (i % 90)) for i in range(5000))
        with open(path, newline="") as back:
            return digest(list(csv.reader(back))[::37])


work = [texts, packed, database, cycles, markup, numbers, files]


def threaded(seed):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda f: f(seed), work * 2))


def forked(seed):
    out, inp = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        os.write(inp, digest([f(seed) for f in work]).encode())
        os._exit(0)
    os.close(inp)
    with os.fdopen(out) as file:
        text = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


def started(seed):
    code = "import json,sys; print(json.dumps(sorted(str(k*k) for k in range(%d))))" % (seed + 2000)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return digest(result.stdout)


for seed in range(rounds):
    for f in work:
        print(f.__name__, f(seed))
    print("threads", threaded(seed))
    # A fork between threads that allocate.
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            numbers(1)
    thread = threading.Thread(target=busy)
    thread.start()
    print("forked", forked(seed), forked(seed + 1))
    stop.set()
    thread.join()
    print("started", started(seed))

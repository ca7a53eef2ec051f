"""Objects, dicts, strings and JSON: what a Python program allocates most."""
import json
import random

random.seed(7)


class Node:
    def __init__(self, key, parent=None):
        self.key = key
        self.parent = parent
        self.children = []
        self.tags = {}


def tree(depth, width, parent=None):
    node = Node("n%d" % depth, parent)
    for i in range(width if depth else 0):
        node.children.append(tree(depth - 1, width, node))
        node.tags["tag%d" % i] = (i, depth)
    return node


def count(node):
    return 1 + sum(count(child) for child in node.children)


def words(n):
    table = {}
    for _ in range(n):
        word = "".join(random.choices("abcdefgh", k=random.randint(1, 6)))
        table.setdefault(word, []).append(len(table))
    return sum(len(v) for v in table.values()), len(table)


def documents(n):
    total = 0
    for i in range(n):
        text = json.dumps({"id": i, "names": ["x" * (j % 50) for j in range(60)],
                           "deep": {"a": [{"b": k * 1.5} for k in range(40)]}})
        total += len(json.loads(text)["deep"]["a"]) + len(text)
    return total


def texts(n):
    lines = ["line %d %s" % (i, "y" * (i % 300)) for i in range(n)]
    return len("\n".join(sorted(lines, key=lambda s: s[::-1])).split("\n"))


print(count(tree(7, 5)), words(120000), documents(1500), texts(30000))

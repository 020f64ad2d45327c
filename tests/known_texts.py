"""Sets of texts whose measures are known."""

FOXES = (
    "The quick brown fox jumps over the lazy dog.",
    "The quick brown fox jumps over the lazy dog again.",
    "Suddenly, the quick brown fox leaps swiftly over the sleeping dog.",
)
GOING = ("i am going", "i am going", "lets go i i")
SAME = ("a b c d e f",) * 4
DISJOINT = ("a b c d e", "f g h i j", "k l m n o")

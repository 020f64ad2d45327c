"""The words problems are told with. Few, so that a small model can learn them all."""

NAMES = ("Mia", "Tom", "Ann", "Ben", "Eva", "Sam", "Lea", "Max")
ITEMS = ("apples", "books", "coins", "cards", "shells", "stamps", "pens", "eggs")
GOODS = ("pen", "book", "cake", "ball", "cup", "hat")

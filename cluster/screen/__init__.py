"""Asks a question of every instrument in a store.

parsing, reader, binding   the text of an expression -> a tree; refuses what means nothing
tree                       what an expression means, and how far back it looks
indicators, functions      TA-Lib's functions, and ours
bars, windows, evaluation  trees over bars of many instruments at once. Pure
form, question, ready      a screen's file; what it asks and needs; the files that come along
history, asked             bars out of the store, some instruments at a time; of whom
looking, screening         what is found at each instrument's last bar; of whom nothing can be said
answer, table, files       what is handed out, shown, and written
drawing, page              what is drawn of matches, on a page for a browser
screen                     the door: `Screen.load(...).run(store)`
"""

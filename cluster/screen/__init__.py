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
owed, live, beforehand     a screen beside a run: who is whole, who matches so far, what is told first

All of it is done in one process, which holds no more for more instruments: 430 MB for 18 M rows of
1-minute bars, 450 MB for 72 M. The 6.5 CPU seconds of the 18 M (26 of the 72 M) are those of the engine's
threads, which read, and of one that computes (2.6), at the same time. Divided over two processes it is 8
(28), so that two cores have little to win. Seconds beside other work, medians, 2026-11: 5.6 (26) in one
process; 7.5 (29) in two, with their start; 10 (22) in two tasks on a Ray cluster that was up. The line is
beyond 50 M rows, far from what screens read. With many more cores the one thread that computes would be
what is waited for.
"""

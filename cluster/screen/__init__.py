"""Asks a question of every instrument in a store.

parsing, reader, binding   the text of an expression -> a tree; refuses what means nothing
tree                       what an expression means, and how far back it looks
indicators, functions      TA-Lib's functions, and ours
bars, windows, evaluation  trees over bars of many instruments at once. Pure
"""

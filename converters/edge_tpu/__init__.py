"""An int8 TFLite file -> one for the Edge TPU, by Google's compiler, which is closed and for x86-64 alone.

compile.py     the one way in: compile, or take what was compiled elsewhere      errors.py   what can go wrong
compiler.py    where the compiler is, and a run of it                            output.py   what it prints, read
container.py   the compiler in a container                                       report.py   what came of it, in words
package.py     what a compiled file holds for the chip, from the file itself
"""

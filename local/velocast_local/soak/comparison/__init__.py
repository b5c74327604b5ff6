"""Compares a run with faults with a clean run of the same days, and traces each difference to the fault behind it.

A difference is explained only by evidence: a forecast differs because the weather, the counts or the model behind it
differed, and those differ because a fault struck that may change them. Whatever has no such chain is unexplained.
"""

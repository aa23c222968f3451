"""Verdicts under several arithmetics of one machine: sets of instructions, threads, cores. None may flip."""

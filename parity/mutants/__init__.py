"""Flax's side changed at random, one expression at a time: does the check notice, and if not, where?"""

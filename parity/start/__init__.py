"""Fresh models: from which numbers, and in which mode, does either side start?"""

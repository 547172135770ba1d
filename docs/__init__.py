"""The guide, and the program that draws its pictures."""

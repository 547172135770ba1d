"""The fast mode of training: batches by true length, the head only where the loss looks, frozen layers computed once.

Modules beside the stock ones, with the same interfaces. Importing the package stays cheap: mlx is imported inside
functions only.
"""

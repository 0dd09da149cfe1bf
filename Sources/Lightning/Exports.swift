// One import for users: the module and trainer bring the layers below with them.
@_exported import DataLoading
@_exported import HDF5
@_exported import Metrics
@_exported import NN
@_exported import Optimizers
@_exported import Tensors

import Foundation
import HDF5
import Lightning

/// One number that stands for the bits of many tensors.
enum Digest {
    /// XXH64 over the bytes of the tensors one after the other, as 16 hexadecimal digits.
    static func of(_ tensors: [Tensor]) -> String {
        var hash = XXHash64()
        for tensor in tensors { tensor.withUnsafeBytes { hash.update($0) } }
        return String(format: "%016llx", hash.value)
    }
}

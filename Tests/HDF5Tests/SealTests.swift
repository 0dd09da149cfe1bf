import Foundation
import HDF5
import Testing

struct SealTests {
    /// Values that the reference program `xxhsum -H64` prints, or that its documentation has.
    @Test func theHashIsXXH64() {
        #expect(XXHash64.hash([]) == 0xef46_db37_51d8_e999)
        #expect(XXHash64.hash(Array("a".utf8)) == 0xd24e_c4f1_a98c_6e5b)
        #expect(XXHash64.hash(Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
        let long = "Call me Ishmael. Some years ago--never mind how long precisely-"
        #expect(XXHash64.hash(Array(long.utf8)) == 0x02a2_e854_70d6_fd96)
    }

    /// Bytes may come in parts of any sizes.
    @Test func partsHashAsTheWhole() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 37 + $0 / 7) }
        for first in 0..<100 {
            for second in [0, 1, 31, 32, 33, 64, 100] {
                var hash = XXHash64()
                bytes.withUnsafeBytes { all in
                    for part in [0..<first, first..<(first + second), (first + second)..<300] {
                        hash.update(UnsafeRawBufferPointer(rebasing: all[part]))
                    }
                }
                #expect(hash.value == XXHash64.hash(bytes), "\(first), \(second)")
            }
        }
    }

    @Test func whatIsNoFileOfOursHasNoSeal() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a"
            #expect(#expect(throws: HDF5Error.self) { try HDF5File.verifySeal(of: path) }?.kind == .missingFile)
            for length in [0, 1, 31, 32, 33, 48, 100] {
                try Data(repeating: 7, count: length).write(to: URL(fileURLWithPath: path))
                #expect(try HDF5File.verifySeal(of: path) == false)
            }
        }
    }
}

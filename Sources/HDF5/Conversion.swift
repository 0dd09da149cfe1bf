internal import CHDF5

/// What happens to values that the type they are converted to cannot hold.
enum Conversion {
    /// Transfer properties; HDF5's own when both types are the same, since then nothing is converted.
    static func properties(
        from stored: HDF5ElementType?, to type: HDF5ElementType, at place: Place
    ) throws(HDF5Error) -> Identifier {
        let properties = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_dataset_transfer()) }
        if stored != type {
            try call("H5Pset_type_conv_cb", at: place) {
                H5Pset_type_conv_cb(properties.value, decide, nil)
            }
        }
        return properties
    }

    /// Stops at a value out of range or a fraction that would be cut off, where HDF5 by itself would clip.
    ///
    /// Integers that a floating-point type rounds are let through, and so are infinities between floating-point types, which
    /// HDF5 reports as out of range.
    private static let decide: H5T_conv_except_func_t = { exception, source, _, value, _, _ in
        switch exception {
        case H5T_CONV_EXCEPT_PRECISION:
            return H5T_CONV_UNHANDLED
        case H5T_CONV_EXCEPT_RANGE_HI, H5T_CONV_EXCEPT_RANGE_LOW:
            guard let value, H5Tget_class(source) == H5T_FLOAT else { return H5T_CONV_ABORT }
            let isInfinite =
                switch H5Tget_size(source) {
                case 4: value.loadUnaligned(as: Float.self).isInfinite
                case 8: value.loadUnaligned(as: Double.self).isInfinite
                default: false
                }
            return isInfinite ? H5T_CONV_UNHANDLED : H5T_CONV_ABORT
        default:
            return H5T_CONV_ABORT
        }
    }
}

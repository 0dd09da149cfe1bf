/// The UCI handwritten digits, carried inside the program: 1,797 images of 8 × 8 pixels.
///
/// E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
/// [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), licensed CC BY 4.0. `Tests/Scripts/make_digits.py` made
/// the file.
public enum EmbeddedDigits {
    /// The bytes of an HDF5 file, to be opened with `HDF5File.open(image:name:)`.
    ///
    /// It holds `images`, `uint8` of shape `[1797, 8, 8]` with ink from 0 to 16, and `labels`, `uint8` of shape
    /// `[1797]` with digits from 0 to 9. The attributes `source`, `citation` and `licence` say where they are from.
    public static var file: [UInt8] { PackageResources.digits_h5 }
}

/// The value of an attribute.
///
/// Code rarely names it: attributes are set and read as `String`, `Int`, `Int64`, `Double` and arrays of them.
public enum HDF5Attribute: Equatable, Sendable {
    /// Text, stored as one string of fixed length in UTF-8.
    case text(String)
    /// A list of texts, stored as strings of the length of the longest.
    case texts([String])
    /// A whole number, stored as `int64`.
    case integer(Int64)
    /// A list of whole numbers, stored as `int64`.
    case integers([Int64])
    /// A number, stored as `float64`.
    case number(Double)
    /// A list of numbers, stored as `float64`.
    case numbers([Double])
}

/// A type that attributes are set and read as.
public protocol HDF5AttributeConvertible: Sendable {
    /// The attribute's value that holds `self`.
    var hdf5Attribute: HDF5Attribute { get }
    /// Reads an attribute's value; `nil` when it is of another type.
    init?(hdf5Attribute: HDF5Attribute)
}

/// A type of which a list is an attribute too.
public protocol HDF5AttributeListElement: Sendable {
    /// The attribute's value that holds the list.
    static func hdf5Attribute(of list: [Self]) -> HDF5Attribute
    /// Reads a list; `nil` when the attribute is of another type.
    static func list(from attribute: HDF5Attribute) -> [Self]?
}

extension String: HDF5AttributeConvertible, HDF5AttributeListElement {
    /// `.text` with this text.
    public var hdf5Attribute: HDF5Attribute { .text(self) }

    /// Reads `.text`.
    public init?(hdf5Attribute: HDF5Attribute) {
        guard case .text(let value) = hdf5Attribute else { return nil }
        self = value
    }

    /// `.texts` with this list.
    public static func hdf5Attribute(of list: [String]) -> HDF5Attribute { .texts(list) }

    /// Reads `.texts`.
    public static func list(from attribute: HDF5Attribute) -> [String]? {
        guard case .texts(let values) = attribute else { return nil }
        return values
    }
}

extension Int64: HDF5AttributeConvertible, HDF5AttributeListElement {
    /// `.integer` with this number.
    public var hdf5Attribute: HDF5Attribute { .integer(self) }

    /// Reads `.integer`.
    public init?(hdf5Attribute: HDF5Attribute) {
        guard case .integer(let value) = hdf5Attribute else { return nil }
        self = value
    }

    /// `.integers` with this list.
    public static func hdf5Attribute(of list: [Int64]) -> HDF5Attribute { .integers(list) }

    /// Reads `.integers`.
    public static func list(from attribute: HDF5Attribute) -> [Int64]? {
        guard case .integers(let values) = attribute else { return nil }
        return values
    }
}

extension Int: HDF5AttributeConvertible, HDF5AttributeListElement {
    /// `.integer` with this number.
    public var hdf5Attribute: HDF5Attribute { .integer(Int64(self)) }

    /// Reads `.integer`.
    public init?(hdf5Attribute: HDF5Attribute) {
        guard case .integer(let value) = hdf5Attribute else { return nil }
        self.init(value)
    }

    /// `.integers` with this list.
    public static func hdf5Attribute(of list: [Int]) -> HDF5Attribute { .integers(list.map(Int64.init)) }

    /// Reads `.integers`.
    public static func list(from attribute: HDF5Attribute) -> [Int]? {
        Int64.list(from: attribute).map { $0.map(Int.init) }
    }
}

extension Double: HDF5AttributeConvertible, HDF5AttributeListElement {
    /// `.number` with this number.
    public var hdf5Attribute: HDF5Attribute { .number(self) }

    /// Reads `.number`, and `.integer` when a `Double` holds it exactly.
    public init?(hdf5Attribute: HDF5Attribute) {
        switch hdf5Attribute {
        case .number(let value): self = value
        case .integer(let value): self.init(exactly: value)
        default: return nil
        }
    }

    /// `.numbers` with this list.
    public static func hdf5Attribute(of list: [Double]) -> HDF5Attribute { .numbers(list) }

    /// Reads `.numbers`.
    public static func list(from attribute: HDF5Attribute) -> [Double]? {
        guard case .numbers(let values) = attribute else { return nil }
        return values
    }
}

extension Array: HDF5AttributeConvertible where Element: HDF5AttributeListElement {
    /// The attribute's value that holds this list.
    public var hdf5Attribute: HDF5Attribute { Element.hdf5Attribute(of: self) }

    /// Reads a list of this type.
    public init?(hdf5Attribute: HDF5Attribute) {
        guard let list = Element.list(from: hdf5Attribute) else { return nil }
        self = list
    }
}

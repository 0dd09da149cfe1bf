import Foundation

/// The few real functions the tensor library needs on single numbers.
enum Mathematics {
    static func log(_ x: Double) -> Double { Foundation.log(x) }
    static func cos(_ x: Double) -> Double { Foundation.cos(x) }
    static func sin(_ x: Double) -> Double { Foundation.sin(x) }
    static func power(_ base: Double, _ exponent: Int) -> Double { Foundation.pow(base, Double(exponent)) }
}

// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 language mode comes with the tools version; a warning is an error.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// Targets above the metal: no pointers at all.
///
/// Every unsafe expression is an error there.
let safe: [SwiftSetting] = strict + [.strictMemorySafety()]

/// The name by which pkg-config knows the MPI: `mpi-c` on Debian, elsewhere `ompi-c` or `mpich`.
let mpi = Context.environment["LIGHTNING_MPI"] ?? "mpi-c"

let package = Package(
    name: "swift-lightning",
    products: [
        .library(name: "Lightning", targets: ["Lightning"]),
        .executable(name: "lightning", targets: ["lightning"]),
        .executable(name: "lightning-bench", targets: ["lightning-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Layer 0: C. Each is imported by exactly one Swift target.
        .target(name: "CKernels"),
        .target(name: "COpenBLAS"),
        .target(name: "CBenchmark"),
        .systemLibrary(name: "CMPI", pkgConfig: mpi, providers: [.apt(["libopenmpi-dev"])]),
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Layer 1: one owner for each library.
        .target(name: "Tensors", dependencies: ["CKernels", "COpenBLAS"], swiftSettings: strict),
        .target(name: "MPI", dependencies: ["CMPI"], swiftSettings: strict),
        .target(name: "HDF5", dependencies: ["CHDF5"], swiftSettings: strict),

        // Layer 2: the subjects of training.
        .target(name: "NN", dependencies: ["Tensors"], swiftSettings: safe),
        .target(name: "Optimizers", dependencies: ["Tensors"], swiftSettings: safe),
        .target(name: "Metrics", dependencies: ["Tensors"], swiftSettings: safe),
        .target(name: "DataLoading", dependencies: ["Tensors", "HDF5", "CZlib"], swiftSettings: strict),
        .target(name: "DataParallel", dependencies: ["Tensors", "MPI"], swiftSettings: strict),
        .target(name: "Checkpoints", dependencies: ["Tensors", "HDF5"], swiftSettings: strict),

        // Layer 3: the module, the trainer, the command line.
        .target(
            name: "Lightning",
            dependencies: [
                "Tensors", "MPI", "HDF5", "NN", "Optimizers", "Metrics", "DataLoading", "DataParallel", "Checkpoints",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                "Yams",
            ],
            swiftSettings: strict),

        // Layer 4: programs.
        .target(
            name: "ExampleModules", dependencies: ["Lightning"], resources: [.embedInCode("Data/digits.h5")],
            swiftSettings: safe),
        .executableTarget(
            name: "lightning", dependencies: ["ExampleModules"], path: "Sources/lightning-cli", swiftSettings: strict),
        .executableTarget(
            name: "lightning-bench",
            dependencies: [
                "CBenchmark", "Lightning", "DataParallel", "HDF5", "MPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(name: "classifier-example", dependencies: ["Lightning"], swiftSettings: safe),
        .target(name: "DocumentSamples", dependencies: ["ExampleModules", "Lightning"], swiftSettings: safe),
        .executableTarget(
            name: "document-samples", dependencies: ["DocumentSamples", "ExampleModules", "Lightning"],
            swiftSettings: safe),
        .executableTarget(name: "mpi-selftest", dependencies: ["MPI", "DataParallel"], swiftSettings: strict),
        .executableTarget(
            name: "trainer-selftest", dependencies: ["Lightning", "DataParallel", "Checkpoints", "TrainerFixtures"],
            swiftSettings: strict),

        // Tests.
        .target(name: "TestSupport", dependencies: ["Tensors"], path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "TrainerFixtures", dependencies: ["Lightning", "Checkpoints"], path: "Tests/TrainerFixtures",
            swiftSettings: strict),
        .testTarget(
            name: "TensorsTests", dependencies: ["Tensors", "TestSupport"], resources: [.copy("Golden")],
            swiftSettings: strict),
        .testTarget(
            name: "NNTests", dependencies: ["NN", "TestSupport"], resources: [.copy("Golden")], swiftSettings: strict),
        .testTarget(
            name: "OptimizersTests", dependencies: ["Optimizers", "NN", "TestSupport"], resources: [.copy("Golden")],
            swiftSettings: strict),
        .testTarget(
            name: "MetricsTests", dependencies: ["Metrics", "TestSupport"], resources: [.copy("Golden")],
            swiftSettings: strict),
        .testTarget(name: "MPITests", dependencies: ["MPI", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HDF5Tests", dependencies: ["HDF5", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DataLoadingTests", dependencies: ["DataLoading", "HDF5", "TestSupport"],
            resources: [.copy("Golden")],
            swiftSettings: strict),
        .testTarget(name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DataParallelTests", dependencies: ["DataParallel", "MPI", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "LightningTests",
            dependencies: ["Lightning", "Checkpoints", "HDF5", "ExampleModules", "TestSupport", "TrainerFixtures"],
            resources: [.copy("Golden")], swiftSettings: strict),
        .testTarget(
            name: "DocumentSamplesTests",
            dependencies: ["DocumentSamples", "ExampleModules", "Lightning", "TestSupport", "TrainerFixtures"],
            swiftSettings: strict),
    ]
)

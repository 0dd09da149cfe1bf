# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

# The scripts may be called from any directory and work in the root of the repository.
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

script="launch/$(basename "$0")"

# Prints a line to the standard error, so that the output of the program itself stays clean.
say() { printf '%s: %s\n' "$script" "$*" >&2; }

# Prints what is wrong and ends with a status: `fail 2 "no such config"`. Status 2 is for a mistake in the call.
fail() {
    local status=$1
    shift
    say "error: $*"
    exit "$status"
}

# Prints where a file named by the user is: beside the user if it is there, else in the repository.
locate() {
    if [[ $1 != /* && -e $caller/$1 && ! -e $1 ]]; then printf '%s\n' "$caller/$1"; else printf '%s\n' "$1"; fi
}

# Puts Swift on the PATH and checks that it is new enough for Package.swift.
require_swift() {
    local needed found
    needed=$(sed -n 's|^// swift-tools-version: *||p' Package.swift)
    if ! command -v swift >/dev/null && [[ -x /opt/swift/usr/bin/swift ]]; then
        export PATH="/opt/swift/usr/bin:$PATH"
    fi
    command -v swift >/dev/null ||
        fail 1 "no Swift on the PATH or in /opt/swift; install Swift $needed or newer from https://swift.org/install"
    found=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9][0-9.]*[0-9]\).*/\1/p' | head -n 1) || true
    [[ -n $found ]] || fail 1 "'swift --version' does not work: $(swift --version 2>&1 | head -n 1)"
    # The older of two versions comes first; it must be the needed one.
    [[ $(printf '%s\n' "$needed" "$found" | sort -V | head -n 1) == "$needed" ]] ||
        fail 1 "Swift $found is too old; install Swift $needed or newer from https://swift.org/install"
}

# Tells Package.swift the name by which pkg-config knows the MPI of this machine, if it is not Debian's.
choose_mpi() {
    local module
    [[ -z ${LIGHTNING_MPI:-} ]] || return 0
    for module in mpi-c ompi-c mpich; do
        if pkg-config --exists "$module" 2>/dev/null; then
            [[ $module == mpi-c ]] || export LIGHTNING_MPI=$module
            return 0
        fi
    done
}

# Prints the number of physical cores this process may run on. mpirun counts cores and not hardware threads, and so do
# the kernels: two threads of one core share its arithmetic units.
count_cores() {
    local allowed
    allowed=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    lscpu -p=CPU,CORE,SOCKET | awk -F, -v allowed="$allowed" '
        BEGIN {
            for (i = split(allowed, ranges, ","); i > 0; i--) {
                split(ranges[i], ends, "-")
                last = ends[2] == "" ? ends[1] : ends[2]
                for (cpu = ends[1]; cpu <= last; cpu++) may[cpu + 0] = 1
            }
        }
        !/^#/ && may[$1 + 0] && !seen[$2, $3]++ { cores++ }
        END { print (cores ? cores : 1) }'
}

# mpirun refuses root unless both are set. In a container there often is no other user.
allow_mpi_as_root() {
    if [[ $EUID -eq 0 ]]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
}

# How often a job that died is started again, and what its command ends with the first time and every later time.
restarts=0
first=()
later=()

# Whether a status says that a rank was killed or crashed. It does not when the program reported an error (1 and the
# like) or found a misuse and trapped (132, 133): that would happen again. After 130, 138 and 143 it was asked to stop.
has_died() {
    case $1 in
    130 | 132 | 133 | 138 | 143) return 1 ;;
    *) (($1 > 128)) ;;
    esac
}

# Runs a program on a number of ranks and ends this shell with its exit status: `run_ranks RANKS HOSTFILE PROGRAM
# ARGUMENT...`, where HOSTFILE may be empty. A program without mpirun replaces the shell, and gets signals itself.
run_ranks() {
    local ranks=$1 hostfile=$2
    shift 2
    # Under mpirun the program cannot see whether its output is read by a person.
    if [[ -t 1 ]]; then
        export LIGHTNING_TERMINAL=1 COLUMNS
        COLUMNS=$(tput cols 2>/dev/null || echo 100)
    fi
    local -a flags=() own=()
    read -r -a own <<<"${MPIRUN_FLAGS:-}"
    if [[ $ranks -eq 1 && -z $hostfile && ${#own[@]} -eq 0 ]]; then
        ((restarts > 0)) || exec "$@" "${first[@]}"
        supervise "$@"
    fi
    command -v mpirun >/dev/null || fail 1 "no mpirun on the PATH"
    allow_mpi_as_root
    if [[ -n $hostfile ]]; then
        flags+=(--hostfile "$hostfile")
    elif [[ -z ${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-} ]]; then
        # On this machine alone. With a hostfile or a batch system the cores of this machine say nothing.
        mapfile -t flags < <(local_binding "$ranks" "$(count_cores)")
        if [[ " ${flags[*]} " == *" --oversubscribe "* ]]; then
            # Waiting ranks hand their core to the one they wait for.
            export OMPI_MCA_mpi_yield_when_idle=1
        fi
    fi
    supervise mpirun -n "$ranks" "${flags[@]}" "${own[@]}" "$@"
}

# Runs mpirun so that a signal lets the ranks save, and ends this shell with the status of the program; after a signal
# with that of the signal, as a shell expects: 130 after Ctrl-C, 143 after SIGTERM.
#
# On SIGINT and SIGTERM mpirun kills the ranks after a second, in which no long step ends and no large checkpoint is
# written. SIGUSR1 it passes on, and waits: the ranks stop after the same batch and save. So the first signal becomes
# SIGUSR1, and a second one SIGTERM.
#
# A job that dies without a signal to this script is started again while `restarts` allows it.
supervise() {
    local child='' status=0 number='' ends='' again
    local -a ending=("${first[@]}")
    # shellcheck disable=SC2317 # the traps call it
    received() {
        again=yes
        if [[ -z $number ]]; then
            number=$1
            say "saving and stopping after this batch; a second signal ends the ranks at once" || true
            [[ -z $child ]] || kill -USR1 "$child" 2>/dev/null || true
        else
            ends=yes
            [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true
        fi
    }
    trap 'received 1' HUP
    trap 'received 2' INT
    trap 'received 10' USR1
    trap 'received 15' TERM
    while :; do
        # mpirun gets a process group of its own: Ctrl-C in a terminal goes to the whole group of this script. Such a
        # group may not read from the terminal.
        set -m
        "$@" "${ending[@]}" </dev/null &
        child=$!
        set +m
        # A signal ends the wait, but not the program.
        while :; do
            again=''
            status=0
            wait "$child" || status=$?
            [[ -n $again ]] || break
        done
        child=''
        if ((restarts == 0)) || [[ -n $number ]] || ! has_died "$status"; then break; fi
        restarts=$((restarts - 1))
        ending=("${later[@]}")
        say "the job died with status $status; going on from its newest checkpoint, with $restarts more restarts at most"
    done
    trap - HUP INT USR1 TERM
    # Saved and stopped because of the signal, or ended by mpirun, whose own status then is 1. Any other status tells of
    # something else: that the training was over, or failed.
    if [[ -n $number ]] && ((status > 128)) || [[ -n $ends ]] && ((status > 0)); then
        exit $((128 + number))
    fi
    exit "$status"
}

# Prints mpirun's flags, one a line, that give each of RANKS its share of CORES.
local_binding() {
    local ranks=$1 cores=$2
    if ((ranks > cores)); then
        printf '%s\n' --oversubscribe
    fi
    if [[ ${MPIRUN_FLAGS:-} == *--bind-to* || ${MPIRUN_FLAGS:-} == *--map-by* ]]; then
        : # The user binds.
    elif (($(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) < $(nproc --all))); then
        # Only some of the machine is ours, and mpirun would bind to cores from the first on, also to those this process may not use.
        printf '%s\n' --bind-to none
    elif ((cores >= 2 * ranks)); then
        # mpirun's default binds each of two ranks to a single core, whatever the machine has.
        printf '%s\n' --map-by "slot:PE=$((cores / ranks))" --bind-to core
    fi
}

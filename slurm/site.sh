# shellcheck shell=bash
# Settings of the site: the one file here to edit for a cluster.
#
# It is read twice. Before submitting, `source slurm/site.sh` sets what sbatch must know; inside the job the
# scripts read it again for the rest. A variable that is already set keeps its value, so that one submission
# can differ:  HPCTOOLS_VENV=$HOME/other-venv sbatch slurm/tnm_grid.sh
# Nodes, tasks, time and memory are options of sbatch, on the command line:  sbatch -N 4 -n 256 -t 4:00:00 ...

# --- before submitting ---

# Account, partition, quality of service. sbatch reads these variables as defaults of its options.
# export SBATCH_ACCOUNT=my-project
# export SBATCH_PARTITION=standard
# export SBATCH_QOS=normal

# --- inside the job ---

# Modules of the site's MPI and parallel HDF5, if hpctools was installed on them.
# module purge
# module load mpich hdf5-parallel

# The virtual environment with hpctools, on a file system that all nodes see.
: "${HPCTOOLS_VENV:=${HPCTOOLS_ROOT:-$PWD}/.venv}"

# How srun and the MPI library find each other: pmi2 for MPICH and MVAPICH, pmix for Open MPI, cray_shasta for
# Cray MPICH (`srun --mpi=list` shows what there is). The wrong one starts every rank as a job of its own,
# which the program refuses to run.
: "${HPCTOOLS_SRUN_MPI:=pmi2}"

# More options for srun, such as --cpu-bind=cores or --distribution=block:block.
: "${HPCTOOLS_SRUN_OPTIONS:=}"

# Where compiled kernels are kept: storage of the node itself, because hundreds of ranks that start at once
# and lock the same cache in a home directory wait for one another.
: "${HPCTOOLS_CACHE:=${TMPDIR:-/tmp}/hpctools-$(id -un)}"

# How often a job may be requeued before it gives up: a job that makes no progress must not return for ever.
: "${HPCTOOLS_MAX_RESTARTS:=100}"

# On Lustre mounted without flock (and on some NFS) HDF5 1.10 fails on opening with "unable to lock file". No
# two jobs may then write to the same file.
# export HDF5_USE_FILE_LOCKING=FALSE

# Lustre: stripe the results' directory before the first job writes there, over about as many targets as
# there are nodes in the job; files take the layout of their directory when they are created.
# lfs setstripe --stripe-count 8 --stripe-size 4M /path/to/results

#!/bin/bash
# The TNM grid, or what is left of it, on all tasks of the job.
#
#   sbatch slurm/tnm_grid.sh                                  the full grid into tnm_grid.h5
#   sbatch -N 4 -n 256 -t 4:00:00 slurm/tnm_grid.sh --subset C --out tnm_C.h5
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.tnm`.
# Two minutes before its time is over the job stops cleanly; it is then requeued and goes on where it was.
#SBATCH --job-name=tnm_grid
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.tnm "$@"

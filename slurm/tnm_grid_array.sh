#!/bin/bash
# The subsets of the TNM grid, each as a task of a job array and in a file of its own, tnm_NAME.h5.
#
#   sbatch slurm/tnm_grid_array.sh                            all six
#   sbatch --array=4,5 slurm/tnm_grid_array.sh --stride-x 4   C and G, thinned
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.tnm`;
# --subset and --out are set here (for another directory: sbatch --chdir=DIR).
# Two minutes before its time is over a task stops cleanly; it is then requeued and goes on where it was.
#SBATCH --job-name=tnm_grid_array
#SBATCH --array=0-5
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

subsets=(LU RU LD RD C G)
subset=${subsets[$SLURM_ARRAY_TASK_ID]:?the array has the tasks 0 to 5}

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.tnm --subset "$subset" --out "tnm_$subset.h5" "$@"

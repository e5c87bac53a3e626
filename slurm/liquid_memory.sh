#!/bin/bash
# Memory functions of all states of a library, one a task at a time; all jobs of the array work in the same folder.
#
#   sbatch slurm/liquid_memory.sh                                         the shipped library
#   sbatch --array=0-3 --ntasks=8 slurm/liquid_memory.sh results/liquids --out memory
#   python -m hpctools.liquids memory --all --status results/liquids --out memory    what is done, from anywhere
#
# Submit from the top folder of hpctools. Arguments after the script are those of
# `python -m hpctools.liquids memory --all`. Each task takes the next state that nobody works on; a finished state is
# never done again. Two minutes before its time is over a job stops cleanly; it is then requeued and goes on.
#SBATCH --job-name=liquid_memory
#SBATCH --array=0-1
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.liquids memory --all "$@"

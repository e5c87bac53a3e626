#!/bin/bash
# Training of a network of the TNM part on all tasks of the job, from its last checkpoint on.
#
#   sbatch -n 4 --gpus-per-task=1 slurm/tnm_train.sh --model MCNN-C        one rank a GPU
#   sbatch -n 2 -c 8 slurm/tnm_train.sh --every 20 --stride-x 4 --stride-beta 4 --epochs 20
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.tnm train`.
# Two minutes before its time is over the job stops cleanly; it is then requeued and goes on where it was. For arrays
# over models and a table of states: python jobs/tnm_train.py --help.
#SBATCH --job-name=tnm_train
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.tnm train "$@"

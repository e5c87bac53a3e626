#!/bin/bash
# Training of a model of glasses on all tasks of the job, from its last checkpoint on.
#
#   sbatch --gpus-per-task=1 slurm/glass_train.sh autoencoder --fold all        one rank a GPU
#   sbatch -n 4 slurm/glass_train.sh autoencoder --fold glass-1 --epochs 200
#   sbatch slurm/glass_train.sh gaussian-process --records results/glasses
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.glasses train`.
# Two minutes before its time is over the job stops cleanly; it is then requeued and goes on where it was. For all
# folds of the judgement at once and a table of states: python jobs/glass_train.py --help.
#SBATCH --job-name=glass_train
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
run_step_and_finish python -m hpctools.glasses train "$@"

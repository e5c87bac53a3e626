#!/bin/bash
# Training of a model from S(k) to F_s(k_p,t) on all tasks of the job, from its last checkpoint on.
#
#   sbatch slurm/liquid_train.sh                                            the paper's network, shipped library
#   sbatch -n 4 --gpus-per-task=1 slurm/liquid_train.sh --steps 100000      one rank a GPU
#   sbatch slurm/liquid_train.sh --model monotone --data results/library --out runs/monotone
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.liquids train`.
# Two minutes before its time is over the job stops cleanly; it is then requeued and goes on where it was. For several
# models and a table of states: python jobs/liquid_train.py --help.
#SBATCH --job-name=liquid_train
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.liquids train "$@"

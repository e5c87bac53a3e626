#!/bin/bash
# A campaign of liquid states, one a task at a time; all jobs of the array work in the same folder.
#
#   sbatch slurm/liquid_campaign.sh                                         the shipped library
#   sbatch --array=0-15 --ntasks=8 slurm/liquid_campaign.sh design.toml --out library
#   python -m hpctools.liquids status design.toml --out library             what is done, from anywhere
#
# Submit from the top folder of hpctools. Arguments after the script are those of
# `python -m hpctools.liquids campaign`. Each task takes the next state that nobody works on, so that any
# number of jobs finishes the campaign; a finished state is never run again.
# Two minutes before its time is over a job stops cleanly; it is then requeued and goes on where it was.
#SBATCH --job-name=liquid_campaign
#SBATCH --array=0-3
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.liquids campaign "$@"

#!/bin/bash
# A campaign of glasses, one a task at a time; all jobs of the array work in the same folder.
#
#   python -m hpctools.glasses design glasses.toml                          a design to begin with
#   sbatch slurm/glass_campaign.sh glasses.toml
#   sbatch --array=0-15 --ntasks=8 slurm/glass_campaign.sh glasses.toml --out results/glasses
#   python -m hpctools.glasses status glasses.toml                          what is done, from anywhere
#
# Submit from the top folder of hpctools. Arguments after the script are those of
# `python -m hpctools.glasses campaign`. Each task takes the next glass that nobody works on, so that any
# number of jobs finishes the campaign; a finished glass is never made again.
# Two minutes before its time is over a job stops cleanly; it is then requeued and goes on where it was.
#SBATCH --job-name=glass_campaign
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
run_step_and_finish python -m hpctools.glasses campaign "$@"

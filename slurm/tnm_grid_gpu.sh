#!/bin/bash
# The TNM grid on GPUs: one rank a device.
#
#   sbatch slurm/tnm_grid_gpu.sh                              one device
#   sbatch -n 8 slurm/tnm_grid_gpu.sh --subset G --out tnm_G.h5    eight, on as many nodes as that takes
#
# Submit from the top folder of hpctools. Arguments after the script are those of `python -m hpctools.tnm`.
# Two minutes before its time is over the job stops cleanly; it is then requeued and goes on where it was.
#SBATCH --job-name=tnm_grid_gpu
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${HPCTOOLS_ROOT:-$SLURM_SUBMIT_DIR}/slurm/job.sh"
activate_environment
run_step_and_finish python -m hpctools.tnm --backend cuda "$@"

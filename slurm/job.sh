# shellcheck shell=bash
# What the batch scripts of this folder have in common. They source it; it is not submitted itself.

: "${HPCTOOLS_ROOT:=$SLURM_SUBMIT_DIR}"
# shellcheck source=slurm/site.sh
source "$HPCTOOLS_ROOT/slurm/site.sh"

activate_environment() {
    if [[ -f $HPCTOOLS_VENV/env.sh ]]; then
        source "$HPCTOOLS_VENV/env.sh"
    elif [[ -f $HPCTOOLS_VENV/bin/activate ]]; then
        source "$HPCTOOLS_VENV/bin/activate"
    else
        echo "$SLURM_JOB_NAME: no virtual environment at $HPCTOOLS_VENV; set HPCTOOLS_VENV in slurm/site.sh" >&2
        exit 2
    fi
    local threads=${SLURM_CPUS_PER_TASK:-1}
    export OMP_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads
    export NUMBA_CACHE_DIR=$HPCTOOLS_CACHE/numba CUPY_CACHE_DIR=$HPCTOOLS_CACHE/cupy
}

# Whether Slurm itself requeues a batch job that exits with 75 (RequeueExit in slurm.conf, such as 1,70-80).
site_requeues() {
    local codes code
    codes=$(scontrol show config | sed -n 's/^RequeueExit *= *//p')
    for code in ${codes//,/ }; do
        if [[ $code =~ ^([0-9]+)(-([0-9]+))?$ ]] &&
            ((BASH_REMATCH[1] <= 75 && 75 <= ${BASH_REMATCH[3]:-${BASH_REMATCH[1]}})); then
            return 0
        fi
    done
    return 1
}

# Runs its arguments as a step of all tasks and ends the batch job.
run_step_and_finish() {
    echo "== $(date -u +%FT%TZ) job $SLURM_JOB_ID, run $((${SLURM_RESTART_COUNT:-0} + 1)): $*"
    local code=0
    # Not --kill-on-bad-exit=1: ranks that stop cleanly exit with 75 one after the other, the first would
    # have the others killed, and srun would report 143. A rank that raises aborts all ranks through MPI; one
    # that is killed outright ends the step by --wait.
    # shellcheck disable=SC2086
    srun --mpi="$HPCTOOLS_SRUN_MPI" --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=30 \
        $HPCTOOLS_SRUN_OPTIONS "$@" || code=$?
    finish_job "$code"
}

# Ends the batch job after a step with this exit code.
#
# Exit codes of the program: 0 complete, 75 stopped cleanly with work left, 3 what is left is in the hands of
# other jobs, 2 wrong usage, 1 an error. After 75 the job goes back into the queue, exactly once: Slurm does it
# where RequeueExit has 75, and this script where it has not.
finish_job() {
    local code=$1
    echo "== $(date -u +%FT%TZ) exit $code"

    if ((code == 75)); then
        if ((${SLURM_RESTART_COUNT:-0} >= HPCTOOLS_MAX_RESTARTS)); then
            echo "== requeued $SLURM_RESTART_COUNT times already; not again (HPCTOOLS_MAX_RESTARTS)" >&2
            exit 1
        fi
        if ! site_requeues; then
            scontrol requeue "$SLURM_JOB_ID"
            # Slurm now ends this script; an exit of its own would race with that.
            sleep 60
        fi
    fi
    exit "$code"
}

//! What an owner of tasks promises.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memcloud_tasks::{Tasks, Unfinished, compute, step_aside};
use tokio::sync::oneshot;

const SOON: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn a_drain_lets_tasks_finish_what_they_do() {
    let tasks = Tasks::new();
    let (send, finished) = oneshot::channel();
    tasks.spawn("writer", |stop| async move {
        stop.cancelled().await;
        tokio::time::sleep(SOON / 2).await;
        send.send("written").unwrap();
    });
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks.drain(SOON).await, 0);
    assert_eq!(finished.await.unwrap(), "written");
    assert!(tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drain_cuts_off_at_its_deadline_and_logs_the_names() {
    let log = Log::default();
    let _guard = log.capture();
    let tasks = Tasks::new();
    let (held, dropped) = oneshot::channel::<()>();
    tasks.spawn("stubborn", |_| async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    tasks.spawn("prompt", |stop| async move { stop.cancelled().await });
    assert_eq!(tasks.drain(SOON).await, 1);
    dropped.await.unwrap_err();
    assert!(log.text().contains("stubborn") && !log.text().contains("prompt"), "{}", log.text());
}

#[tokio::test]
async fn dropping_the_owner_cuts_off_its_tasks() {
    let tasks = Tasks::new();
    let (held, dropped) = oneshot::channel::<()>();
    tasks.spawn("endless", |_| async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    drop(tasks);
    dropped.await.unwrap_err();
}

#[tokio::test]
async fn a_panic_is_logged_by_name_and_ends_one_task_alone() {
    let log = Log::default();
    let _guard = log.capture();
    let tasks = Tasks::new();
    tasks.spawn("clumsy", |_| async { panic!("index out of range") });
    tasks.spawn("steady", |stop| async move { stop.cancelled().await });
    tasks.any_ended().await;
    assert_eq!(tasks.len(), 1);
    let log = log.text();
    assert!(log.contains("clumsy") && log.contains("index out of range"), "{log}");
    assert_eq!(tasks.drain(SOON).await, 0);
}

#[tokio::test]
async fn work_ends_although_its_caller_stops_waiting() {
    let tasks = Arc::new(Tasks::new());
    let (begin, begun) = oneshot::channel::<()>();
    let (send, done) = oneshot::channel();
    let work = async move {
        begun.await.unwrap();
        send.send(7).unwrap();
    };
    tokio::time::timeout(Duration::ZERO, tasks.run("store", |_| work)).await.unwrap_err();
    begin.send(()).unwrap();
    assert_eq!(done.await.unwrap(), 7);
    tasks.finished().await;
}

#[tokio::test]
async fn work_returns_its_result_or_says_that_it_did_not_finish() {
    let tasks = Tasks::new();
    assert_eq!(tasks.run("sum", |_| async { 1 + 1 }).await, Ok(2));
    let broken = tasks.run("store", |_| async { panic!("broken") });
    assert_eq!(broken.await.map(|(): ()| 0), Err(Unfinished("store")));
}

#[tokio::test]
async fn a_task_started_after_the_stop_is_asked_to_stop_at_once() {
    let tasks = Tasks::new();
    tasks.stop();
    tasks.spawn("late", |stop| async move { stop.cancelled().await });
    tasks.finished().await;
}

/// Gathers what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn computations_leave_the_thread_that_serves() {
    let here = std::thread::current().id();
    let there = compute("a thread's name", || std::thread::current().id()).await.unwrap();
    assert_ne!(here, there);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn computations_give_way_to_threads_that_serve() {
    let niceness = || rustix::process::getpriority_process(None).unwrap();
    let here = niceness();
    let there = compute("a thread's priority", niceness).await.unwrap();
    // 19 is the lowest priority.
    assert!(there > here || here == 19, "{there} there, {here} here");
    assert_eq!(niceness(), here);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_steps_aside_lets_others_serve() {
    let (tasks, (send, receive)) = (Tasks::new(), std::sync::mpsc::channel());
    let waiting = tasks.run("waiting", |_| async move { step_aside(true, || receive.recv()) });
    let serving = tasks.run("serving", |_| async move { send.send("served") });
    let (received, sent) = tokio::join!(waiting, serving);
    assert_eq!((received.unwrap(), sent.unwrap()), (Ok("served"), Ok(())));
}

#[tokio::test]
async fn where_no_other_thread_serves_none_steps_aside() {
    assert_eq!(step_aside(true, || 1) + step_aside(false, || 1), 2);
}

#[tokio::test]
async fn a_computation_that_panics_is_an_error_and_gives_its_place_back() {
    for _ in 0..200 {
        assert_eq!(compute("a wrong sum", || panic!("wrong")).await, Err::<(), _>(Unfinished("a wrong sum")));
    }
}

#[tokio::test]
async fn no_more_computations_run_at_once_than_twice_the_cores() {
    let most = 2 * std::thread::available_parallelism().unwrap().get();
    let (running, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let computations = (0..4 * most).map(|_| {
        let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
        compute("counting", move || {
            seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..200 {
                std::thread::yield_now();
            }
            running.fetch_sub(1, Ordering::SeqCst);
        })
    });
    futures_util::future::join_all(computations).await;
    assert!((1..=most).contains(&seen.load(Ordering::SeqCst)), "{seen:?} of {most}");
}

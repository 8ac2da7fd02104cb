//! The crew, alone.

use super::*;

#[test]
fn every_piece_is_done_once_by_any_number_of_threads() {
    for threads in [1, 2, 3, 8] {
        let crew = Crew::new(threads).unwrap();
        for pieces in [0, 1, 2, 7, 1000] {
            let count: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
            crew.run(|| each(pieces, &|i| _ = count[i].fetch_add(1, SeqCst)));
            assert!(count.iter().all(|count| count.load(SeqCst) == 1), "{threads} {pieces}");
        }
    }
}

#[test]
fn where_each_thread_has_a_piece_it_takes_its_own_if_it_comes_in_time() {
    let crew = Crew::new(2).unwrap();
    crew.run(|| {
        for _ in 0..1000 {
            let (meeting, by) = (std::sync::Barrier::new(2), Mutex::new([None; 2]));
            // Nobody is late: a piece ends when both have begun.
            each(2, &|i| {
                by.lock().unwrap()[i] = Some(thread::current().id());
                meeting.wait();
            });
            assert_eq!(by.into_inner().unwrap()[0], Some(thread::current().id()));
        }
    });
}

#[test]
fn a_hundred_thousand_short_jobs_neither_hang_nor_mix() {
    let crew = Crew::new(3).unwrap();
    crew.run(|| {
        for round in 0..100_000 {
            let sum = AtomicUsize::new(0);
            each(4, &|i| _ = sum.fetch_add(round + i, SeqCst));
            assert_eq!(sum.into_inner(), 4 * round + 6);
        }
    });
}

#[test]
fn helpers_that_fell_asleep_are_woken() {
    let crew = Crew::new(2).unwrap();
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let names = Mutex::new(std::collections::HashSet::new());
        // Each waits for the other: one thread alone would never be done.
        let meeting = std::sync::Barrier::new(2);
        crew.run(|| {
            each(2, &|_| {
                meeting.wait();
                names.lock().unwrap().insert(std::thread::current().id());
            })
        });
        assert_eq!(names.into_inner().unwrap().len(), 2);
    }
}

#[test]
fn inside_a_piece_nothing_is_shared_and_behind_it_the_crew_is_back() {
    let crew = Crew::new(2).unwrap();
    assert_eq!(threads(), 1);
    crew.run(|| {
        assert_eq!(threads(), 2);
        each(4, &|_| {
            assert_eq!(threads(), 1);
            each(4, &|_| ());
        });
        assert_eq!(threads(), 2);
    });
    assert_eq!(threads(), 1);
}

#[test]
fn a_panic_in_a_piece_reaches_the_leader_and_the_crew_goes_on() {
    let crew = Crew::new(2).unwrap();
    for culprit in 0..8 {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            crew.run(|| each(8, &|i| assert!(i != culprit, "piece {i}")));
        }));
        assert!(outcome.is_err());
    }
    crew.run(|| assert_eq!(threads(), 2));
    crew.run(|| each(8, &|_| ()));
}

#[test]
fn a_second_leader_works_alone() {
    let crew = Crew::new(2).unwrap();
    crew.run(|| {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| crew.run(threads));
            assert_eq!(other.join().unwrap(), 1);
        });
    });
}

#[test]
fn every_row_is_visited_once_and_knows_its_number() {
    let crew = Crew::new(3).unwrap();
    for rows in [0, 1, 5, 1000, 40_001] {
        let mut y = vec![0.0; rows * 2];
        crew.run(|| {
            over_rows(MatMut::new(&mut y, rows, 2), 2, |first, mut y| {
                for i in 0..y.rows() {
                    y.row_mut(i)[1] += (first + i + 1) as f32;
                }
            })
        });
        assert!(y.chunks(2).enumerate().all(|(i, row)| row[1] == (i + 1) as f32));
    }
}

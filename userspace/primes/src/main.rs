//! A user program in ordinary Rust `std`: `primes N` prints how many primes are
//! at most N and the largest of them.
//!
//! What it proves: an unmodified `x86_64-unknown-linux-gnu` program built with
//! `+crt-static` starts (its runtime polls the standard streams, sets signal
//! handlers and a signal stack, and reads its arguments), allocates, formats,
//! prints and exits. It is built twice: as a static PIE and, `primes-nopie`, at a
//! fixed address.

#![forbid(unsafe_code)]

use std::collections::TryReserveError;
use std::process::ExitCode;

/// How many primes there are up to a bound, and the largest.
#[derive(Debug, PartialEq, Eq)]
struct Primes {
    count: usize,
    largest: Option<usize>,
}

impl Primes {
    /// Counts the primes in `2..=bound` with the sieve of Eratosthenes, in
    /// `bound + 1` bytes of memory.
    fn up_to(bound: usize) -> Result<Self, TryReserveError> {
        let mut composite = Vec::new();
        composite.try_reserve_exact(bound.saturating_add(1))?;
        composite.resize(bound.saturating_add(1), false);

        let mut primes = Primes { count: 0, largest: None };
        for candidate in 2..=bound {
            if composite[candidate] {
                continue;
            }
            primes.count += 1;
            primes.largest = Some(candidate);
            // Smaller multiples have a smaller factor and are struck out already.
            if let Some(square) = candidate.checked_mul(candidate) {
                for multiple in (square..=bound).step_by(candidate) {
                    composite[multiple] = true;
                }
            }
        }
        Ok(primes)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let bound = match (args.next().map(|arg| arg.parse::<usize>()), args.next()) {
        (Some(Ok(bound)), None) => bound,
        _ => {
            eprintln!("usage: primes N");
            return ExitCode::from(2);
        }
    };
    match Primes::up_to(bound) {
        Ok(Primes { count, largest: Some(largest) }) => {
            println!("{count} primes up to {bound}, the largest is {largest}")
        }
        Ok(_) => println!("no primes up to {bound}"),
        Err(error) => {
            eprintln!("primes: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::Primes;

    #[test]
    fn no_primes_below_two() {
        for bound in [0, 1] {
            let primes = Primes::up_to(bound).unwrap();
            assert_eq!((primes.count, primes.largest), (0, None));
        }
    }

    #[test]
    fn agrees_with_trial_division() {
        let is_prime = |n: usize| n >= 2 && (2..n).all(|d| !n.is_multiple_of(d));
        for bound in 2..300 {
            let expected = Primes {
                count: (2..=bound).filter(|&n| is_prime(n)).count(),
                largest: (2..=bound).rfind(|&n| is_prime(n)),
            };
            assert_eq!(Primes::up_to(bound).unwrap(), expected);
        }
    }

    #[test]
    fn counts_up_to_15000() {
        let primes = Primes::up_to(15_000).unwrap();
        assert_eq!((primes.count, primes.largest), (1754, Some(14_983)));
    }

    #[test]
    fn a_bound_beyond_memory_is_an_error() {
        assert!(Primes::up_to(usize::MAX).is_err());
    }
}

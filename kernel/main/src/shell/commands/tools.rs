//! `exit`, `clear`, `echo`.

use alloc::string::String;

use base::{print, println};

use crate::shell::command::{Context, Outcome, at_most_one, none, usage};

/// Ends QEMU.
pub(in crate::shell) fn exit(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let status = match at_most_one(arguments)? {
        Some(text) => text
            .parse()
            .map_err(|_| usage(alloc::format!("{text} is not a status from 0 to 255")))?,
        None => u8::from(!context.last_succeeded),
    };
    fs::shutdown();
    device::shutdown();
    base::exit::exit(status)
}

/// Clears the screen.
pub(in crate::shell) fn clear(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    print!("{}", crate::shell::input::CLEAR);
    Ok(())
}

/// Prints its arguments.
pub(in crate::shell) fn echo(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    println!("{}", arguments.join(" "));
    Ok(())
}
